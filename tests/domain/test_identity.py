"""A reservation's id comes from who asked and under which key; a fingerprint, from what."""

import base64
import hashlib
from datetime import date

import pytest

from streams.domain import InvalidCommand, fingerprint, reservation_id, resort_of

from .examples import reserve


def test_an_id_is_the_resort_and_26_characters_of_the_hash_of_customer_and_key() -> None:
    digest = hashlib.sha256(b"ada\x00key-1").digest()
    expected = "seorak." + base64.b32encode(digest).decode()[:26]
    assert reservation_id("seorak", "ada", "key-1") == expected


def test_the_same_customer_and_key_give_the_same_id_and_any_other_gives_another() -> None:
    asked = [("ada", "1"), ("ada", "2"), ("adam", "1"), ("ad", "a1"), ("a", "da1"), ("ada1", "x")]
    ids = {reservation_id("seorak", customer, key) for customer, key in asked}
    assert len(ids) == len(asked)
    assert reservation_id("seorak", "ada", "1") in ids


def test_two_resorts_never_share_an_id() -> None:
    assert reservation_id("a.b", "ada", "1") != reservation_id("a", "ada", "1")


@pytest.mark.parametrize("resort_id", ["seorak", "kr.seorak", "설악"])
def test_an_id_tells_its_resort(resort_id: str) -> None:
    assert resort_of(reservation_id(resort_id, "ada", "1")) == resort_id


@pytest.mark.parametrize("text", ["", "seorak", ".", "seorak.", "." + "A" * 26, "seorak.ABC"])
def test_a_text_that_is_no_reservation_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidCommand, match="reservation_id"):
        resort_of(text)


@pytest.mark.parametrize(
    ("field", "ids"),
    [
        ("resort_id", ("", "ada", "1")),
        ("resort_id", ("seorak/twin", "ada", "1")),
        ("customer_id", ("seorak", "", "1")),
        ("customer_id", ("seorak", "ada/../bob", "1")),
        ("customer_id", ("seorak", "ada\x00", "1")),
        ("idempotency_key", ("seorak", "ada", "")),
        ("idempotency_key", ("seorak", "ada", "\ud800")),
        ("customer_id", ("seorak", "\ud800", "1")),
        ("resort_id", ("\ud800", "ada", "1")),
    ],
)
def test_an_id_that_would_blur_the_tables_keys_is_refused(
    field: str, ids: tuple[str, str, str]
) -> None:
    with pytest.raises(InvalidCommand) as refused:
        reservation_id(*ids)
    assert refused.value.field == field


def test_a_retry_has_the_fingerprint_of_the_first_attempt() -> None:
    first = reserve(requested_at=1)
    assert fingerprint(first) == fingerprint(reserve(requested_at=2))


@pytest.mark.parametrize(
    "change",
    [
        {"room_type": "tent"},
        {"check_in": date(2026, 7, 11)},
        {"nights": 3},
        {"rooms": 2},
        {"persons": 1},
        {"needs": "a cot"},
        {"phone": "1"},
        {"email": "1"},
        {"payment_type": "card"},
        {"rate": 0},
        {"quoted_price": 2_000},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_body_has_another_fingerprint(change: dict[str, object]) -> None:
    assert fingerprint(reserve(**change)) != fingerprint(reserve())


def test_a_text_moved_to_another_field_changes_the_fingerprint() -> None:
    assert fingerprint(reserve(phone="1")) != fingerprint(reserve(email="1"))


def test_a_fingerprint_is_of_the_fields_given_so_that_a_new_field_changes_no_older_one() -> None:
    body = b'{"room_type":"twin","check_in":"2026-07-10","nights":2,"rooms":1,"persons":2,"rate":0}'
    assert fingerprint(reserve(rate=0)) == hashlib.sha256(body).hexdigest()[:32]


def test_a_text_without_utf8_has_no_fingerprint() -> None:
    with pytest.raises(InvalidCommand):
        fingerprint(reserve(needs="\ud800"))
