"""A callback is believed when the gateway signed just these bytes, lately, and they say a step."""

import hashlib
import hmac
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connect.callbacks import (
    BodyRefused,
    Said,
    SignatureRefused,
    read_secrets,
    sign,
    verified,
)
from connect.gateway import Answer

SECRET, OTHER = b"s" * 32, b"o" * 32
NOW = 1_700_000_000
STEP = "sono.ABC/charge"
ANSWER = {"status": "APPROVED", "payment_id": "pay_1", "amount": 500, "currency": "KRW"}
CALLBACK = {
    "event": "evt_1",
    "step": STEP,
    "reservation_id": "sono.ABC",
    "at": 1_600_000_000_000,
    "answer": ANSWER,
}
BODY = json.dumps(CALLBACK).encode()
HEADER = sign(SECRET, BODY, NOW)
SIGNED = HEADER.partition(",")[2]
SAID = Said(
    STEP, "sono.ABC", Answer("APPROVED", "pay_1", 500, "KRW", None), "evt_1", 1_600_000_000_000
)


def read(body: bytes) -> Said:
    """What a body says that the gateway has signed just now."""
    return verified([SECRET], body, sign(SECRET, body, NOW), NOW)


def test_what_the_gateway_signed_is_believed() -> None:
    assert verified([SECRET], BODY, HEADER, NOW) == SAID


def test_the_signature_is_an_hmac_of_the_time_and_the_bytes() -> None:
    mac = hmac.new(SECRET, b"1700000000." + BODY, hashlib.sha256).hexdigest()
    assert f"t=1700000000,v1={mac}" == HEADER


@pytest.mark.parametrize("secrets", [[SECRET, OTHER], [OTHER, SECRET]])
def test_each_secret_is_tried(secrets: list[bytes]) -> None:
    assert verified(secrets, BODY, HEADER, NOW) == SAID


def test_each_signature_is_tried() -> None:
    _, _, other = sign(OTHER, BODY, NOW).partition(",")
    for signatures in (f"{other},{SIGNED}", f"{SIGNED},{other}", f"{SIGNED},{SIGNED}"):
        assert verified([SECRET], BODY, f"t={NOW},{signatures}", NOW) == SAID


@pytest.mark.parametrize("secrets", [[], [OTHER]])
def test_what_no_secret_of_ours_signed_is_refused(secrets: list[bytes]) -> None:
    with pytest.raises(SignatureRefused, match="no secret of ours"):
        verified(secrets, BODY, HEADER, NOW)


@pytest.mark.parametrize("away_s", [-300, 0, 300])
def test_within_the_window_it_is_believed(away_s: int) -> None:
    assert verified([SECRET], BODY, HEADER, NOW + away_s) == SAID


@pytest.mark.parametrize("away_s", [-301, 301, 86_400])
def test_out_of_the_window_on_either_side_it_is_refused(away_s: int) -> None:
    with pytest.raises(SignatureRefused, match="more than 300 s"):
        verified([SECRET], BODY, HEADER, NOW + away_s)


def test_an_old_answer_told_now_is_believed() -> None:
    assert read(BODY).at == 1_600_000_000_000


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "t",
        f"t={NOW}",
        SIGNED,
        f"{SIGNED},t={NOW}",
        f"t={NOW},t={NOW},{SIGNED}",
        f"t=,{SIGNED}",
        f"t=-{NOW},{SIGNED}",
        f"t=+{NOW},{SIGNED}",
        f"t=0{NOW},{SIGNED}",
        f"t={NOW}.0,{SIGNED}",
        f"t=1_700_000_000,{SIGNED}",
        f"t={'٣' * 10},{SIGNED}",
        f"t={'9' * 5_000},{SIGNED}",
        f"t={NOW},v1=",
        f"t={NOW},{SIGNED[:-1]}",
        f"t={NOW},{SIGNED}0",
        f"t={NOW},{SIGNED.upper()}",
        f"t={NOW},{SIGNED},",
        f"t={NOW}, {SIGNED}",
        f"t={NOW},{SIGNED}\n",
        f"t={NOW},v0={'0' * 64},{SIGNED}",
        f"t={NOW},v1={'0' * 64}" + f",{SIGNED}" * 8,
    ],
)
def test_a_header_of_another_form_is_refused(header: str | None) -> None:
    with pytest.raises(SignatureRefused, match="Hiresort-Signature"):
        verified([SECRET], BODY, header, NOW)


def changed(whole: bytes) -> st.SearchStrategy[bytes]:
    """`whole` with one byte changed, left out or put in."""
    places, byte = st.integers(0, len(whole) - 1), st.binary(min_size=0, max_size=2)
    return st.builds(lambda at, put: whole[:at] + put + whole[at + 1 :], places, byte).filter(
        lambda made: made != whole
    )


@given(changed(BODY))
def test_no_changed_byte_of_the_body_is_believed(body: bytes) -> None:
    with pytest.raises(SignatureRefused):
        verified([SECRET], body, HEADER, NOW)


@given(changed(HEADER.encode()))
def test_no_changed_byte_of_the_time_or_the_signature_is_believed(header: bytes) -> None:
    with pytest.raises(SignatureRefused):
        # As an HTTP server hands on what is not UTF-8.
        verified([SECRET], BODY, header.decode(errors="surrogateescape"), NOW)


@given(st.text(max_size=200))
def test_no_text_that_is_no_signature_does_harm(header: str) -> None:
    with pytest.raises(SignatureRefused):
        verified([SECRET], BODY, header, NOW)


@given(st.binary(max_size=300))
def test_signed_bytes_that_are_no_callback_are_refused(body: bytes) -> None:
    with pytest.raises(BodyRefused):
        read(body)


@given(
    body=st.binary(max_size=300),
    secret=st.binary(min_size=32, max_size=64),
    at_s=st.integers(0, 10**12 - 1),
)
def test_whatever_is_signed_is_let_through_to_be_read(
    body: bytes, secret: bytes, at_s: int
) -> None:
    with pytest.raises(BodyRefused):
        verified([secret], body, sign(secret, body, at_s), at_s)


@pytest.mark.parametrize(
    "answer",
    [
        ANSWER,
        {"status": "DECLINED", "amount": 0, "currency": "KRW", "reason": "r" * 1_000},
        {"status": "REFUNDED", "amount": 2**63 - 1, "currency": "EUR", "payment_id": "p" * 100},
        {"status": "REFUND_FAILED", "amount": 1, "currency": "EUR", "reason": ""},
    ],
)
def test_each_answer_is_read(answer: dict[str, Any]) -> None:
    said = read(json.dumps(CALLBACK | {"answer": answer}).encode()).answer
    assert {
        "status": said.kind,
        "payment_id": said.payment_id,
        "amount": said.amount,
        "currency": said.currency,
        "reason": said.reason,
    } == {"payment_id": None, "reason": None} | answer


def test_a_step_of_any_script_is_read() -> None:
    body = json.dumps(CALLBACK | {"step": "리조트.A/charge", "reservation_id": "리조트.A"})
    assert read(body.encode()).step == "리조트.A/charge"


def test_what_a_later_gateway_says_besides_is_passed_over() -> None:
    later = CALLBACK | {"api": 2, "answer": ANSWER | {"fee": 1}}
    assert read(json.dumps(later).encode()) == SAID


NO_CALLBACKS = {
    "empty": b"",
    "not JSON": b"x",
    "not an object": b"[]",
    "cut": BODY[:-1],
    "trailing": BODY + b"x",
    "too long": BODY + b" " * 16_384,
    "nested deeply": b"[" * 8_000 + b"]" * 8_000,
    "NaN": BODY.replace(b"500", b"NaN"),
    "1e400": BODY.replace(b"500", b"1e400"),
    "a fraction": BODY.replace(b"500", b"1.5"),
    "digits in quotes": BODY.replace(b"500", b'"500"'),
    "true as a number": BODY.replace(b"500", b"true"),
    "negative": BODY.replace(b"500", b"-1"),
    "2^63": BODY.replace(b"500", b"9223372036854775808"),
    "a name twice": BODY.replace(b'{"event"', b'{"step": "x", "event"'),
    "lone surrogate": BODY.replace(b'"evt_1"', b'"\\ud800"'),
    "lone surrogate in a step": BODY.replace(b"sono.ABC/", b"\\ud800/"),
    "not UTF-8": BODY.replace(b"evt_1", b"\xff"),
    "unknown status": BODY.replace(b"APPROVED", b"APPROVING"),
    "approved without a payment": BODY.replace(b'"payment_id": "pay_1", ', b""),
    "payment with a line break": BODY.replace(b"pay_1", b"pay_1\\n"),
    "long payment": BODY.replace(b"pay_1", b"p" * 101),
    "small currency": BODY.replace(b"KRW", b"krw"),
    "long currency": BODY.replace(b"KRW", b"KRWW"),
    "no event": BODY.replace(b'"event": "evt_1", ', b""),
    "empty event": BODY.replace(b"evt_1", b""),
    "empty step": BODY.replace(b"sono.ABC/charge", b""),
    "long step": BODY.replace(b"sono.ABC/charge", b"s" * 256),
    "step with a line break": BODY.replace(b"ABC/", b"ABC\\n/"),
    "empty reservation": BODY.replace(b'"sono.ABC"', b'""'),
    "no answer": json.dumps(CALLBACK | {"answer": None}).encode(),
    "time before 1970": BODY.replace(b"1600000000000", b"-1"),
    "long reason": json.dumps(CALLBACK | {"answer": ANSWER | {"reason": "r" * 1_001}}).encode(),
}


@pytest.mark.parametrize("body", NO_CALLBACKS.values(), ids=NO_CALLBACKS)
def test_a_signed_body_that_is_no_callback_is_refused(body: bytes) -> None:
    assert body != BODY
    with pytest.raises(BodyRefused) as refused:
        read(body)
    assert "\n" not in refused.value.reason


# -- the file of secrets


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "secrets"
    path.touch(mode=0o600)
    return path


def test_secrets_stand_one_a_line(file: Path) -> None:
    file.write_bytes(b"\n  " + SECRET + b"\r\n\n" + OTHER)
    assert read_secrets(file) == [SECRET, OTHER]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "has no secret"),
        (b" \n\n", "has no secret"),
        (b"s" * 31, "line 1 "),
        (SECRET + b"\nshort\n", "line 2 "),
        (SECRET + b"\0", "line 1 "),
        ("비밀".encode() * 32, "line 1 "),
    ],
)
def test_a_file_without_usable_secrets_is_told_in_one_line(
    file: Path, content: bytes, says: str
) -> None:
    file.write_bytes(content)
    with pytest.raises(ValueError, match=says) as refused:
        read_secrets(file)
    said = str(refused.value)
    assert "\n" not in said
    assert "ssss" not in said
    assert "short" not in said


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o620])
def test_a_file_that_others_may_use_is_refused(file: Path, mode: int) -> None:
    file.write_bytes(SECRET)
    file.chmod(mode)
    with pytest.raises(ValueError, match="others may use"):
        read_secrets(file)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640])
def test_a_file_of_the_owner_and_the_group_is_read(file: Path, mode: int) -> None:
    file.write_bytes(SECRET)
    file.chmod(mode)
    assert read_secrets(file) == [SECRET]


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, says in (("none", "cannot read"), (".", "not a file"), ("pipe", "not a file")):
        with pytest.raises(ValueError, match=says):
            read_secrets(tmp_path / name)
