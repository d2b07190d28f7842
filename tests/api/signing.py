"""An issuer of tokens, for tests: its keys, and what it signs."""

import json
import time
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from api.token_keys import Keys, Unusable
from api.tokens import Tokens, Wanted

ISSUER, AUDIENCE = "https://issuer.example", "hiresort"
WANTED = Wanted(ISSUER, AUDIENCE)
EC = ECKey.generate_key("P-256", {"kid": "ec", "use": "sig", "alg": "ES256"})
RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig", "alg": "RS256"})
STRANGE = ECKey.generate_key("P-256", {"kid": "ec"})
"""Of somebody else, who gives it the id of ours."""

Key = ECKey | RSAKey | OctKey


def jwks(*keys: Key) -> bytes:
    """Return the set of these keys, as the issuer publishes it."""
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()


class Source:
    """Where a set is found; None: it can't be had."""

    def __init__(self, text: bytes | None) -> None:
        self.text, self.asked = text, 0

    async def __call__(self) -> bytes:
        """Answer the set."""
        self.asked += 1
        if self.text is None:
            raise Unusable("nobody answers")
        return self.text


def verifier(*keys: Key) -> Tokens:
    """Return what verifies tokens by these keys, ours unless said."""
    return Tokens(Keys(Source(jwks(*(keys or (EC, RSA))))), WANTED)


def claims(role: Any = "customer", sub: Any = "ada", **others: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return what a token says; None leaves a claim out."""
    now = int(time.time())
    said = {"iss": ISSUER, "aud": AUDIENCE, "sub": sub, "role": role, "iat": now, "exp": now + 3600}
    return {name: value for name, value in (said | others).items() if value is not None}


def signed(said: dict[str, Any], key: Key = EC, **header: Any) -> str:  # noqa: ANN401
    """Return a token; `header` is laid over the one that belongs to the key."""
    alg = {"EC": "ES256", "RSA": "RS256", "oct": "HS256"}[key.key_type]
    return jwt.encode({"alg": alg, "kid": key.kid, **header}, said, key, algorithms=[alg])


def bearer(role: str = "customer", sub: str = "ada") -> dict[str, str]:
    """Return the header that proves a role."""
    return {"Authorization": f"Bearer {signed(claims(role, sub))}"}
