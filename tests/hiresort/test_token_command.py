"""`hiresort token` signs what the API takes, with a key that is its owner's alone."""

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from api.caller import Caller
from api.token_keys import keys_at
from api.tokens import TokenRefused, Tokens, Wanted
from hiresort.token_command import AUDIENCE, ISSUER, JWKS, KEY, token

pytestmark = pytest.mark.usefixtures("own_folder")


@pytest.fixture
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def signed(*options: str) -> str:
    result = CliRunner().invoke(token, options)
    assert result.exit_code == 0, result.output
    return result.output.strip()


async def caller_of(text: str) -> Caller:
    keys = keys_at(str(JWKS))
    await keys.start()
    return await Tokens(keys, Wanted(ISSUER, AUDIENCE)).caller(text)


async def test_the_api_takes_what_it_signs() -> None:
    assert await caller_of(signed("--sub", "c-1")) == Caller("customer", "c-1")
    assert await caller_of(signed("--sub", "o", "--role", "operator")) == Caller("operator")


async def test_the_key_stays_and_is_its_owners_alone() -> None:
    first = signed("--sub", "c-1")
    signed("--sub", "c-2")
    assert (await caller_of(first)).customer_id == "c-1"
    assert stat.S_IMODE(KEY.stat().st_mode) == 0o600
    assert '"d"' not in JWKS.read_text()


async def test_another_key_makes_what_was_signed_worthless() -> None:
    before = signed("--sub", "c-1")
    KEY.unlink()
    signed("--sub", "c-1")
    with pytest.raises(TokenRefused):
        await caller_of(before)


@pytest.mark.parametrize("text", ["", "{}", "[]", "no json"])
def test_a_key_that_is_none_is_told(text: str) -> None:
    KEY.parent.mkdir()
    KEY.write_text(text)
    result = CliRunner().invoke(token, ["--sub", "c-1"])
    assert (result.exit_code, "remove it" in result.output) == (2, True)
