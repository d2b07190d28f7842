"""`hiresort token`: sign a token with a key of one's own, to try the API's token mode with.

The key is made at first use, below .hiresort and its owner's alone; its public part stands beside
it as the JWK set that `python -m api --tokens` takes.
"""

import json
import time
from secrets import token_hex

import click
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from hiresort.addresses import FOLDER
from hiresort.callback_secret import keep_text

ISSUER = "hiresort-local"
AUDIENCE = "hiresort"
KEY = FOLDER / "token.key.json"
JWKS = FOLDER / "jwks.json"


@click.command()
@click.option(
    "--role",
    type=click.Choice(["customer", "service", "operator"]),
    default="customer",
    show_default=True,
)
@click.option("--sub", required=True, help="Who it is for; a customer's id.")
@click.option("--minutes", type=click.IntRange(1, 60 * 24), default=60, show_default=True)
def token(role: str, sub: str, minutes: int) -> None:
    """Print a token for trying; real ones come from your identity provider.

    It is taken by `python -m api --tokens .hiresort/jwks.json --token-issuer hiresort-local`.
    """
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": sub,
        "role": role,
        "iat": now,
        "exp": now + minutes * 60,
    }
    try:
        key = _key()
        click.echo(jwt.encode({"alg": "ES256", "kid": key.kid, "typ": "JWT"}, claims, key))
    except OSError as error:
        raise _failed(f"{error.filename} can't be read or written: {error.strerror}") from None
    except (JoseError, ValueError):
        raise _failed(f"{KEY} holds no key: remove it, and another one is made") from None


def _key() -> ECKey:
    """Return the key, made if there is none. Raises OSError, JoseError, ValueError."""
    if not KEY.exists():
        made = ECKey.generate_key("P-256", {"kid": token_hex(8), "use": "sig", "alg": "ES256"})
        keep_text(KEY, json.dumps(made.as_dict(private=True)))
    key = ECKey.import_key(json.loads(KEY.read_text()))
    JWKS.write_text(json.dumps({"keys": [key.as_dict(private=False)]}) + "\n")
    return key


def _failed(message: str) -> click.ClickException:
    error = click.ClickException(message)
    error.exit_code = 2
    return error
