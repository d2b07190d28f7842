"""The environment says which gateway is called; what is missing is said in one line."""

import sys
from pathlib import Path

import pytest

from connect.choosing import gateway_of
from connect.gateway import Gateway
from connect.stripe_gateway import StripeGateway

KEY = "sk_test_0123456789"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """A file with a key, which nobody else may read."""
    path = tmp_path / "key"
    path.write_text(KEY + "\n")
    path.chmod(0o600)
    return path


def test_nothing_said_is_the_sandbox() -> None:
    assert isinstance(gateway_of({}), Gateway)


def test_http_is_the_gateway_of_the_small_protocol() -> None:
    environ = {"HIRESORT_GATEWAY_KIND": "http", "HIRESORT_GATEWAY": "https://pay.example"}
    assert isinstance(gateway_of(environ), Gateway)


@pytest.mark.parametrize("address", ["", "http://127.0.0.1:12111", "https://stripe.example"])
def test_stripe_is_called_with_the_key_from_a_file(key_file: Path, address: str) -> None:
    environ = {
        "HIRESORT_GATEWAY_KIND": "stripe",
        "HIRESORT_GATEWAY": address,
        "HIRESORT_STRIPE_KEY_FILE": str(key_file),
    }
    assert isinstance(gateway_of(environ), StripeGateway)


@pytest.mark.parametrize(
    ("environ", "complaint"),
    [
        ({"HIRESORT_GATEWAY_KIND": "paypal"}, "HIRESORT_GATEWAY_KIND is http or stripe"),
        ({"HIRESORT_GATEWAY": "ftp://x"}, "HIRESORT_GATEWAY: "),
        ({"HIRESORT_GATEWAY_KIND": "stripe"}, "needs HIRESORT_STRIPE_KEY_FILE"),
        (
            {"HIRESORT_GATEWAY_KIND": "stripe", "HIRESORT_STRIPE_KEY_FILE": "/nowhere/key"},
            "HIRESORT_STRIPE_KEY_FILE: cannot read /nowhere/key: No such file",
        ),
        (
            {"HIRESORT_GATEWAY_KIND": "stripe", "HIRESORT_STRIPE_KEY_FILE": "/"},
            "HIRESORT_STRIPE_KEY_FILE: / is not a file",
        ),
    ],
)
def test_what_is_wrong_is_said(environ: dict[str, str], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as refused:
        gateway_of(environ)
    assert "\n" not in str(refused.value)


def test_the_key_goes_nowhere_unencrypted(key_file: Path) -> None:
    environ = {
        "HIRESORT_GATEWAY_KIND": "stripe",
        "HIRESORT_GATEWAY": "http://192.0.2.1",
        "HIRESORT_STRIPE_KEY_FILE": str(key_file),
    }
    with pytest.raises(ValueError, match="HIRESORT_GATEWAY: Stripe's address is https"):
        gateway_of(environ)


def test_a_key_that_others_may_read_is_refused(key_file: Path) -> None:
    key_file.chmod(0o604)
    with pytest.raises(ValueError, match=r"others may use .* chmod 600"):
        gateway_of({"HIRESORT_GATEWAY_KIND": "stripe", "HIRESORT_STRIPE_KEY_FILE": str(key_file)})


@pytest.mark.parametrize(
    "text", ["", "pk_test_0123456789", "sk_live_1\nsk_live_2", "ein Schlüssel"]
)
def test_what_is_no_secret_key_is_refused_and_not_told(key_file: Path, text: str) -> None:
    key_file.write_text(text)
    with pytest.raises(ValueError, match="holds no secret key") as refused:
        gateway_of({"HIRESORT_GATEWAY_KIND": "stripe", "HIRESORT_STRIPE_KEY_FILE": str(key_file)})
    assert not text or text not in str(refused.value)


def test_without_the_package_it_is_said_how_to_get_it(
    key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "connect.stripe_gateway")
    monkeypatch.setitem(sys.modules, "stripe", None)
    for name in ("connect.stripe_callbacks", "connect.stripe_errors"):
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ValueError, match=r"hiresort\[stripe\]"):
        gateway_of({"HIRESORT_GATEWAY_KIND": "stripe", "HIRESORT_STRIPE_KEY_FILE": str(key_file)})
