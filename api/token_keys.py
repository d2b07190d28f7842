"""The keys that tokens are signed with: a JWK set (RFC 7517) in a file or at a URL.

Unusable   the set can't be had, or holds no key that may be used; one clear line
"""

import asyncio
import ipaddress
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

logger = logging.getLogger(__name__)

Key = RSAKey | ECKey
ALGORITHMS = {"RS256": "RSA", "ES256": "EC"}
"""Those that a token may have, and the kind of key that each takes."""

LARGEST_SET = 256 << 10
FETCH_S = 5.0
KEPT_S = 600.0
"""So long a set is good without being asked for again."""

AGAIN_S = 30.0
"""An unknown key has the set asked for again, at most so often."""

_SMALLEST_RSA = 2048
_PUBLIC = ("kty", "kid", "n", "e", "crv", "x", "y")
"""Of a key no more is taken: a private part that stands in the set by mistake is not."""


class Unusable(Exception):
    """Tokens can't be verified with this configuration."""


class Keys:
    """The keys of one set, by id; the former ones count while a new set can't be had."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[bytes]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`fetch` answers the set's JSON or raises Unusable; `clock` gives seconds."""
        self._fetch, self._clock = fetch, clock
        self._keys: Mapping[str, Key] = {}
        self._had_at: float | None = None
        self._asked_at: float | None = None
        self._renewing: asyncio.Future[None] | None = None

    async def start(self) -> None:
        """Ask for the set. Raises Unusable when there is none."""
        self._keys = read_set(await self._fetch())
        self._had_at = self._asked_at = self._clock()

    async def find(self, kid: str) -> Key | None:
        """Return the key of an id, None if there is none; asks for the set when it has to."""
        key = self._keys.get(kid)
        if key is None:
            # Whoever asks may leave: that ends nothing for others, nor is it asked for in vain.
            await asyncio.shield(self._renewal())
            return self._keys.get(kid)
        if self._is_old():
            self._renewal()  # nobody waits for it
        return key

    def _is_old(self) -> bool:
        return self._had_at is None or self._clock() - self._had_at > KEPT_S

    def _renewal(self) -> asyncio.Future[None]:
        """Return the renewal that is under way, or a new one."""
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.ensure_future(self._renew())
        return self._renewing

    async def _renew(self) -> None:
        now = self._clock()
        if self._asked_at is not None and now - self._asked_at < AGAIN_S:
            return
        self._asked_at = now
        try:
            self._keys = read_set(await self._fetch())
            self._had_at = now
        except Unusable as error:
            logger.warning("the keys of tokens stay as they were: %s", error)


def read_set(text: bytes) -> dict[str, Key]:
    """Return the keys of a set that tokens may be signed with, by id. Raises Unusable.

    Others in it are left out: of another kind, without an id, not for signatures, too short.
    """
    try:
        entries = json.loads(text)["keys"]
        found = [_key(entry) for entry in entries if isinstance(entry, dict)]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Unusable("that is no JWK set: an object with a list of keys") from None
    keys = {str(key.kid): key for key in found if key is not None}
    if not keys:
        raise Unusable("the JWK set has no RSA or P-256 key with a kid, to verify signatures with")
    return keys


def _key(entry: Mapping[str, Any]) -> Key | None:
    kid, use = entry.get("kid"), entry.get("use", "sig")
    if not isinstance(kid, str) or not kid or use != "sig" or "verify" not in _operations(entry):
        return None
    public = {name: entry[name] for name in _PUBLIC if name in entry}
    try:
        if entry.get("kty") == "RSA" and entry.get("alg", "RS256") == "RS256":
            key: Key = RSAKey.import_key(public)
            return key if key.public_key.key_size >= _SMALLEST_RSA else None
        if entry.get("kty") == "EC" and entry.get("alg", "ES256") == "ES256":
            return ECKey.import_key(public) if entry.get("crv") == "P-256" else None
    except (JoseError, ValueError, TypeError):
        return None
    return None


def _operations(entry: Mapping[str, Any]) -> list[str]:
    operations = entry.get("key_ops", ["verify"])
    return operations if isinstance(operations, list) else []


def keys_at(source: str) -> Keys:
    """Return the keys at a file's path or a URL: https, or http on loopback. Raises Unusable."""
    parts = urlsplit(source)
    if parts.scheme in ("http", "https"):
        if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
            raise Unusable(f"{parts.hostname} would be asked for keys in clear: take https")
        return Keys(lambda: _download(source))
    return Keys(lambda: _read(Path(source)))


async def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST_SET)
    except OSError as error:
        raise Unusable(f"{path} can't be read: {error.strerror}") from None


async def _download(url: str) -> bytes:
    timeout = ClientTimeout(total=FETCH_S)
    try:
        async with (
            ClientSession(timeout=timeout) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            if answer.status != 200:  # noqa: PLR2004
                raise Unusable(f"the keys' address answers {answer.status}")
            body = bytearray()
            async for chunk in answer.content.iter_any():
                body += chunk
                if len(body) > LARGEST_SET:
                    raise Unusable("the JWK set is longer than any that is read here")
            return bytes(body)
    except (ClientError, TimeoutError, OSError) as error:
        raise Unusable(f"the keys' address does not answer: {type(error).__name__}") from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
