"""Which gateway's callbacks are read, and with which secrets, is configured."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from api.callback_reader import CallbackReader, Unusable, reader_of
from connect.callbacks import SIGNATURE, verified

SECRETS = [b"n" * 32, b"o" * 40]


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secrets"
    path.touch(0o600)
    path.write_bytes(b"\n".join(SECRETS))
    return path


def test_the_protocol_of_ours_is_read_by_default(secret_file: Path) -> None:
    assert reader_of("http", secret_file) == CallbackReader(SIGNATURE, verified, SECRETS)


def test_stripes_are_read_by_its_own_reader_under_its_own_header(
    secret_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        sys.modules, "connect.stripe_gateway", SimpleNamespace(stripe_said=verified)
    )
    assert reader_of("stripe", secret_file) == CallbackReader("Stripe-Signature", verified, SECRETS)


def test_stripe_without_its_package_is_told_in_one_line(
    secret_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "connect.stripe_gateway", None)
    with pytest.raises(
        Unusable, match="HIRESORT_GATEWAY_KIND=stripe needs the package stripe"
    ) as refused:
        reader_of("stripe", secret_file)
    assert "\n" not in str(refused.value)


def test_without_stripe_nothing_of_it_is_loaded(
    secret_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "connect.stripe_gateway", None)
    assert reader_of("http", secret_file).header == SIGNATURE
