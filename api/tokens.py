"""Who sends a request, by a signed token (JWT, RFC 7519; as RFC 8725 wants it).

The algorithms are fixed, and so is the kind of key that each takes. What a token's header says of
where a key is found (jku, x5u, jwk, x5c) is never followed: its `kid` picks one of ours.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast, get_args

import msgspec
from joserfc import jws, jwt
from joserfc.errors import (
    BadSignatureError,
    DecodeError,
    ExpiredTokenError,
    InvalidClaimError,
    InvalidTokenError,
    JoseError,
    MissingClaimError,
)

from api.caller import Caller, Role
from api.fields import CUSTOMER
from api.token_keys import ALGORITHMS, Keys

LONGEST = 8192
LONGEST_KID = 256
LEEWAY_S = 30
"""By so much clocks may differ."""

_TYPES = ("JWT", "at+jwt", "application/at+jwt")
_ROLES = tuple(role for role in get_args(Role) if role != "open")


class TokenRefused(Exception):
    """A token proves nothing; the reason may be told to who sent it."""


@dataclass(frozen=True)
class Wanted:
    """What a token has to say: by whom it is, for whom, and where it tells the role."""

    issuer: str
    audience: str
    role_claim: str = "role"


class Tokens:
    """Verifies tokens."""

    def __init__(
        self, keys: Keys, wanted: Wanted, *, now_s: Callable[[], float] = time.time
    ) -> None:
        self.keys, self._wanted, self._now_s = keys, wanted, now_s

    async def caller(self, token: str) -> Caller:
        """Return who a token proves to call. Raises TokenRefused."""
        if len(token) > LONGEST:
            raise TokenRefused("the token is too long")
        algorithm, kid = _header(token)
        key = await self.keys.find(kid)
        if key is None or key.key_type != ALGORITHMS[algorithm]:
            raise TokenRefused("the token is signed with a key that is not known")
        try:
            claims = jwt.decode(token, key, algorithms=[algorithm]).claims
        except BadSignatureError:
            raise TokenRefused("the token's signature is wrong") from None
        except (JoseError, ValueError):
            raise TokenRefused("the token can't be read") from None
        self._check(claims)
        return self._caller_of(claims)

    def _check(self, claims: Mapping[str, Any]) -> None:
        registry = jwt.JWTClaimsRegistry(
            now=lambda: int(self._now_s()),
            leeway=LEEWAY_S,
            iss={"essential": True, "value": self._wanted.issuer},
            aud={"essential": True, "value": self._wanted.audience},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
        )
        try:
            registry.validate(dict(claims))
        except ExpiredTokenError:
            raise TokenRefused("the token has expired") from None
        except (InvalidClaimError, MissingClaimError, InvalidTokenError) as error:
            claim = getattr(error, "claim", None)
            raise TokenRefused(f"the token's {claim or 'time'} is not right") from None
        except (JoseError, ValueError, TypeError):
            raise TokenRefused("the token's claims are not right") from None

    def _caller_of(self, claims: Mapping[str, Any]) -> Caller:
        role, subject = claims.get(self._wanted.role_claim), claims.get("sub")
        if role not in _ROLES:
            raise TokenRefused(f"the token's {self._wanted.role_claim} is none of ours")
        if not isinstance(subject, str) or not CUSTOMER.fullmatch(subject):
            raise TokenRefused("the token's sub is no id of ours")
        customer_id = subject if role == "customer" else None
        return Caller(cast("Role", role), customer_id, float(claims["exp"]) + LEEWAY_S)


class _Header(msgspec.Struct):
    alg: str
    kid: str
    typ: str = "JWT"
    crit: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def _header(token: str) -> tuple[str, str]:
    """Return the algorithm and the key's id. Raises TokenRefused."""
    try:
        header = msgspec.convert(jws.extract_compact(token.encode()).headers(), _Header)
    except (JoseError, DecodeError, ValueError, TypeError, RecursionError):
        raise TokenRefused("the token can't be read, or names no key") from None
    if header.alg not in ALGORITHMS:
        raise TokenRefused(f"the token's alg has to be one of {', '.join(ALGORITHMS)}")
    if header.typ not in _TYPES or header.crit is not msgspec.UNSET:
        raise TokenRefused("the token is of a kind that is not read here")
    if not 1 <= len(header.kid) <= LONGEST_KID:
        raise TokenRefused("the token's kid is none of ours")
    return header.alg, header.kid
