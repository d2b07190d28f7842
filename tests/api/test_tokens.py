"""A token proves who calls, or nothing at all."""

import asyncio
import json
import socket
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OctKey, RSAKey

from api import token_keys
from api.caller import Caller
from api.token_keys import Keys, Unusable, keys_at, read_set
from api.tokens import LONGEST, TokenRefused
from tests.api.signing import EC, RSA, STRANGE, Source, claims, jwks, signed, verifier

SECRET = OctKey.import_key(jwks(RSA), {"kid": "rsa"})
"""What everybody knows of the RSA key, taken for a secret."""


def jwks_of_secret() -> bytes:
    return json.dumps({"keys": [OctKey.generate_key(256, {"kid": "s"}).as_dict()]}).encode()


def encoded(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize("key", [EC, RSA])
@pytest.mark.parametrize(
    ("role", "caller"),
    [
        ("customer", Caller("customer", "ada")),
        ("service", Caller("service")),
        ("operator", Caller("operator")),
    ],
)
async def test_a_good_token_proves_who_calls(
    key: ECKey | RSAKey, role: str, caller: Caller
) -> None:
    assert await verifier().caller(signed(claims(role), key)) == caller


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"exp": -31}, "expired"),
        ({"exp": None}, "exp"),
        ({"exp": "tomorrow"}, "not right"),
        ({"nbf": 90}, "not right"),
        ({"iat": 90}, "not right"),
        ({"iat": None}, "iat"),
        ({"iss": "https://evil.example"}, "iss"),
        ({"iss": None}, "iss"),
        ({"aud": "another"}, "aud"),
        ({"aud": None}, "aud"),
        ({"role": "root"}, "role"),
        ({"role": "open"}, "role"),
        ({"role": ["operator"]}, "role"),
        ({"role": None}, "role"),
        ({"sub": None}, "sub"),
        ({"sub": "a/b"}, "sub"),
        ({"sub": 7}, "sub"),
    ],
)
async def test_a_token_that_says_something_else_proves_nothing(
    wrong: dict[str, Any], reason: str
) -> None:
    with pytest.raises(TokenRefused, match=reason):
        await verifier().caller(signed(claims(**_from_now(wrong))))


def _from_now(said: dict[str, Any]) -> dict[str, Any]:
    """Return numbers as instants, so many seconds from now."""
    now = int(time.time())
    times = ("exp", "nbf", "iat")
    return {n: now + v if n in times and isinstance(v, int) else v for n, v in said.items()}


async def test_clocks_may_differ_by_half_a_minute() -> None:
    said = claims(**_from_now({"exp": -20, "iat": 20, "nbf": 20}))
    assert (await verifier().caller(signed(said))).customer_id == "ada"


async def test_one_of_several_audiences_is_enough() -> None:
    said = claims() | {"aud": ["another", "hiresort"]}
    assert (await verifier().caller(signed(said))).customer_id == "ada"


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(f"{encoded({'alg': 'none', 'kid': 'ec'})}.{encoded(claims())}.", id="none"),
        pytest.param(signed(claims(), SECRET), id="the public key as a secret"),
        pytest.param(signed(claims(), STRANGE), id="a stranger's key under our id"),
        pytest.param(signed(claims(), EC, kid="rsa"), id="an EC key under an RSA key's id"),
        pytest.param(signed(claims(), EC, kid="unknown"), id="an unknown key"),
        pytest.param(signed(claims(), EC, kid="../ec"), id="a path as id"),
        pytest.param(signed(claims(), EC, kid=""), id="no id"),
        pytest.param(signed(claims(), EC, kid="x" * 300), id="a long id"),
        pytest.param(signed(claims(), EC, typ="dpop+jwt"), id="another type"),
        pytest.param(
            signed(claims(), STRANGE, kid="mine", jwk=STRANGE.as_dict(private=False)),
            id="a key in the header",
        ),
        pytest.param(
            signed(claims(), STRANGE, kid="mine", jku="http://127.0.0.1:1/keys"),
            id="an address of keys in the header",
        ),
        pytest.param(
            f"{encoded({'alg': 'ES256', 'kid': 'ec', 'crit': ['b64']})}.e30.e30", id="crit"
        ),
        pytest.param(signed(claims())[:-4] + "AAAA", id="another signature"),
        pytest.param(signed(claims()).replace(".", ".e30", 1), id="another payload"),
        pytest.param("x" * (LONGEST + 1), id="too long"),
        pytest.param("a.b.c", id="garbage"),
        pytest.param("a.b.c.d.e", id="encrypted"),
        pytest.param("한.글.글", id="no ASCII"),
        pytest.param("", id="nothing"),
        pytest.param(f"{encoded({'alg': ['ES256'], 'kid': 'ec'})}.e30.e30", id="a list as alg"),
        pytest.param(f"{encoded([])}.e30.e30", id="a list as header"),
    ],
)
async def test_a_forged_token_proves_nothing(token: str) -> None:
    with pytest.raises(TokenRefused):
        await verifier().caller(token)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'{"keys": []}', id="no key"),
        pytest.param(b'{"keys": {}}', id="no list"),
        pytest.param(b'{"keys": [5, {}]}', id="no keys"),
        pytest.param(jwks(ECKey.generate_key("P-384", {"kid": "e"})), id="another curve"),
        pytest.param(jwks(ECKey.generate_key("P-256")), id="no id"),
        pytest.param(
            jwks(ECKey.generate_key("P-256", {"kid": "e", "use": "enc"})), id="to encrypt"
        ),
        pytest.param(jwks_of_secret(), id="a secret"),
    ],
)
def test_a_set_without_a_key_to_verify_with_is_refused(text: bytes) -> None:
    with pytest.raises(Unusable):
        read_set(text)


def test_a_short_key_is_none() -> None:
    with pytest.warns(SecurityWarning):
        short = RSAKey.generate_key(1024, {"kid": "short"})
    with pytest.raises(Unusable), pytest.warns(SecurityWarning):
        read_set(jwks(short))


async def test_a_new_key_is_asked_for_and_not_too_often() -> None:
    now = 1000.0
    source = Source(jwks(EC))
    keys = Keys(source, clock=lambda: now)
    await keys.start()
    assert (await keys.find("rsa"), source.asked) == (None, 1)
    source.text, now = jwks(EC, RSA), now + token_keys.AGAIN_S
    assert await keys.find("rsa")
    assert (await keys.find("none"), source.asked) == (None, 2)


async def test_known_keys_work_on_while_the_set_can_not_be_had() -> None:
    now = 1000.0
    source = Source(jwks(EC))
    keys = Keys(source, clock=lambda: now)
    await keys.start()
    source.text, now = None, now + token_keys.KEPT_S + 1
    async with asyncio.timeout(5):
        while source.asked < 2:
            assert await keys.find("ec")
            await asyncio.sleep(0)
    assert await keys.find("ec")


async def test_a_key_that_was_withdrawn_counts_no_more_once_the_set_is_renewed() -> None:
    now = 1000.0
    source = Source(jwks(EC, RSA))
    keys = Keys(source, clock=lambda: now)
    await keys.start()
    source.text, now = jwks(EC), now + token_keys.KEPT_S + 1
    async with asyncio.timeout(5):
        while await keys.find("rsa"):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0)
    assert source.asked == 2


async def test_nobody_with_a_known_key_waits_for_a_set_that_does_not_come() -> None:
    now = 1000.0
    silent = asyncio.Event()
    source = Source(jwks(EC))

    async def fetch() -> bytes:
        if source.asked:
            await silent.wait()
        return await source()

    keys = Keys(fetch, clock=lambda: now)
    await keys.start()
    now += token_keys.KEPT_S + 1
    async with asyncio.timeout(5):
        assert await keys.find("ec")
        assert await keys.find("ec")


async def test_a_client_that_leaves_takes_no_new_key_from_others() -> None:
    now = 1000.0
    asked, published = asyncio.Event(), asyncio.Event()
    source = Source(jwks(EC))

    async def fetch() -> bytes:
        if source.asked:
            asked.set()
            await published.wait()
        return await source()

    keys = Keys(fetch, clock=lambda: now)
    await keys.start()
    source.text, now = jwks(EC, RSA), now + token_keys.AGAIN_S
    leaving = asyncio.create_task(keys.find("none"))
    await asked.wait()
    leaving.cancel()
    staying = asyncio.create_task(keys.find("rsa"))
    published.set()
    assert await asyncio.wait_for(staying, 5)
    assert (leaving.cancelled(), source.asked) == (True, 2)


class Published:
    """A set at an address on loopback."""

    def __init__(self) -> None:
        self.pieces = [jwks(EC)]
        self.status = 200

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer it, piece by piece."""
        response = web.StreamResponse(status=self.status, headers={"Location": "/elsewhere"})
        await response.prepare(request)
        for piece in self.pieces:
            await response.write(piece)
            await asyncio.sleep(0)  # so that each comes by itself
        return response


@pytest.fixture
async def published() -> AsyncIterator[tuple[Published, str]]:
    """Publish a set; gives it and its address."""
    found = Published()
    app = web.Application()
    app.router.add_get("/keys", found.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    listening = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listening).start()
    yield found, f"http://127.0.0.1:{listening.getsockname()[1]}/keys"
    await runner.cleanup()


async def test_a_set_that_comes_in_pieces_is_read_whole(published: tuple[Published, str]) -> None:
    found, url = published
    whole = jwks(EC, RSA)
    found.pieces = [whole[start : start + 50] for start in range(0, len(whole), 50)]
    keys = keys_at(url)
    await keys.start()
    assert await keys.find("rsa")


@pytest.mark.parametrize(
    ("status", "pieces"), [(302, []), (404, []), (200, [b" " * (1 << 16)] * 5), (200, [b"{"])]
)
async def test_an_address_without_a_set_is_told(
    published: tuple[Published, str], status: int, pieces: list[bytes]
) -> None:
    found, url = published
    found.status, found.pieces = status, pieces
    with pytest.raises(Unusable):
        await keys_at(url).start()


async def test_an_address_that_does_not_answer_is_told() -> None:
    with pytest.raises(Unusable, match="does not answer"):
        await keys_at("http://127.0.0.1:1/keys").start()


async def test_keys_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    with pytest.raises(Unusable, match="can't be read"):
        await keys_at(str(file)).start()
    file.write_bytes(jwks(EC))
    keys = keys_at(str(file))
    await keys.start()
    assert await keys.find("ec")


@pytest.mark.parametrize("url", ["http://issuer.example/keys", "http://10.0.0.1/keys"])
def test_keys_are_never_asked_for_in_clear(url: str) -> None:
    with pytest.raises(Unusable, match="https"):
        keys_at(url)
