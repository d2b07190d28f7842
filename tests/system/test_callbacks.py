"""What the gateway tells by itself settles what no answer did, once, and only if it signed."""

import http.client
import json
import time
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, TopicPartition

from connect.callbacks import SIGNATURE, read_secrets, sign
from hiresort.deadlines import until
from schemas.codec import Codec
from schemas.records import PaymentOutcome
from tests.system.conftest import System
from topics.catalog import PARTITIONS, PAYMENT_OUTCOMES
from topics.partitioner import partition_for

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

WAIT_S = 60.0
DAYS_MS = 3 * 24 * 3600 * 1000
STAY = {"resort_id": "jeju", "check_in": "2099-06-01", "nights": 1, "persons": 2}


class Answer(NamedTuple):
    """An answer over HTTP."""

    status: int
    body: Any


def call(
    url: str, method: str = "GET", body: object = None, headers: dict[str, str] | None = None
) -> Answer:
    """Call and return the answer; `body` is sent as JSON unless it is bytes already."""
    parts = urlsplit(url)
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    told = {"Content-Type": "application/json"} | (headers or {})
    connection = http.client.HTTPConnection(parts.netloc, timeout=WAIT_S)
    try:
        path = f"{parts.path}?{parts.query}"
        connection.request(method, path, data, told if data else headers or {})
        response = connection.getresponse()
        text = response.read()
    finally:
        connection.close()
    return Answer(response.status, json.loads(text) if text else None)


class Gateway:
    """The sandbox of the running system, and what it has told."""

    def __init__(self, system: System) -> None:
        self.url = system.addresses["HIRESORT_GATEWAY"]
        self.callbacks = system.addresses["HIRESORT_API"] + "/payments/callbacks"
        self.api_log = system.folder / ".hiresort/log/api.log"
        self._bootstrap = system.addresses["HIRESORT_BOOTSTRAP"]
        self._secret_file = system.folder / ".hiresort/callback.secret"

    def fails(self, **faults: object) -> None:
        """Put another plan of faults in force."""
        answer = call(self.url + "/faults", "PUT", faults)
        assert answer.status == 200, answer.body

    def moved(self, reservation_id: str) -> list[dict[str, Any]]:
        """Return the ledger's entries of one reservation."""
        found: list[dict[str, Any]] = []
        after = 0
        while after is not None:
            page = call(f"{self.url}/ledger?after={after}&limit=1000").body
            found += [each for each in page["entries"] if each["reservation_id"] == reservation_id]
            after = page["next"]
        return found

    def sign(self, body: bytes) -> str:
        """Sign as the gateway does, now."""
        return sign(read_secrets(self._secret_file)[0], body, int(time.time()))

    def told(self, reservation_id: str) -> list[PaymentOutcome]:
        """Return the outcomes of one reservation that Kafka holds."""
        partition = partition_for(reservation_id.encode(), PARTITIONS)
        reader = Consumer(
            {
                "bootstrap.servers": self._bootstrap,
                "group.id": f"test-{uuid4()}",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
            }
        )
        codec, found = Codec(PaymentOutcome), []
        try:
            reader.assign([TopicPartition(PAYMENT_OUTCOMES.name, partition, 0)])
            while (message := reader.poll(WAIT_S)) is not None and message.error() is None:
                outcome = codec.decode(message.value() or b"")
                if outcome.reservation_id == reservation_id:
                    assert message.key() == reservation_id.encode()
                    found.append(outcome)
        finally:
            reader.close()
        return found


@pytest.fixture
def gateway(system: System) -> Iterator[Gateway]:
    found = Gateway(system)
    yield found
    found.fails()


def reserve(system: System, customer: str, prefer: str) -> Answer:
    """Reserve over HTTP and charge at once."""
    headers = {"X-Customer-Id": customer, "Idempotency-Key": "k", "Prefer": prefer}
    url = system.addresses["HIRESORT_API"] + "/reservations"
    return call(url, "POST", STAY | {"payment_type": "card"}, headers)


def progress(system: System, reservation_id: str) -> str:
    """Return how far a reservation has come."""
    shown = call(f"{system.addresses['HIRESORT_API']}/reservations/{reservation_id}")
    return str(shown.body["progress"])


def test_a_callback_confirms_what_no_answer_did_however_often_and_in_what_order_it_comes(
    system: System, gateway: Gateway
) -> None:
    gateway.fails(hang_after=1, callbacks=3, callback_delay_ms=500)
    answer = reserve(system, "c-callback", "wait=30")
    assert (answer.status, answer.body["status"]) == (201, "CONFIRMED")
    reservation_id = answer.body["reservation_id"]
    assert until(lambda: len(gateway.told(reservation_id)) == 3, WAIT_S)
    assert {(each.kind, each.source) for each in gateway.told(reservation_id)} == {
        ("APPROVED", "CALLBACK")
    }
    assert [each["kind"] for each in gateway.moved(reservation_id)] == ["CAPTURE"]
    payment = call(f"{system.addresses['HIRESORT_API']}/payments/{reservation_id}").body
    assert [step["outcome"] for step in payment["steps"]] == ["APPROVED"]
    assert progress(system, reservation_id) == "CONFIRMED"


def test_a_forged_callback_changes_nothing(system: System, gateway: Gateway) -> None:
    refused = gateway.api_log.read_text().count("not signed by the gateway")
    gateway.fails(hang_after=1, callbacks=2, forge=1)
    answer = reserve(system, "c-forged", "wait=30")
    assert (answer.status, answer.body["status"]) == (201, "CONFIRMED")
    reservation_id = answer.body["reservation_id"]

    body = json.dumps(
        {
            "event": "evt_forged",
            "step": f"{reservation_id}/charge",
            "reservation_id": reservation_id,
            "at": 0,
            "answer": {"status": "DECLINED", "amount": answer.body["price"], "currency": "KRW"},
        }
    ).encode()
    for signature in ({}, {SIGNATURE: sign(b"f" * 32, body, int(time.time()))}):
        forged = call(gateway.callbacks, "POST", body, signature)
        assert (forged.status, forged.body["type"]) == (401, "urn:hiresort:problem:not-signed")

    assert until(
        lambda: gateway.api_log.read_text().count("not signed by the gateway") > refused, WAIT_S
    )
    assert until(lambda: len(gateway.told(reservation_id)) == 2, WAIT_S)
    assert {each.kind for each in gateway.told(reservation_id)} == {"APPROVED"}
    assert progress(system, reservation_id) == "CONFIRMED"


def test_an_approval_that_is_told_after_the_cancel_is_refunded(
    system: System, gateway: Gateway
) -> None:
    gateway.fails(hang_after=1, callbacks=0)
    reservation_id = reserve(system, "c-late", "respond-async").body["reservation_id"]
    assert until(lambda: len(gateway.moved(reservation_id)) == 1, WAIT_S)
    url = f"{system.addresses['HIRESORT_API']}/reservations/{reservation_id}"
    assert call(url, "DELETE").body["status"] == "CANCELLED"

    [capture] = gateway.moved(reservation_id)
    gateway.fails()
    body = json.dumps(
        {
            "event": "evt_late",
            "step": capture["step"],
            "reservation_id": reservation_id,
            "at": capture["at"] - DAYS_MS,
            "answer": {"status": "APPROVED"}
            | {name: capture[name] for name in ("payment_id", "amount", "currency")},
        }
    ).encode()
    for _ in range(2):
        assert call(gateway.callbacks, "POST", body, {SIGNATURE: gateway.sign(body)}).status == 204
    assert until(lambda: progress(system, reservation_id) == "REFUNDED", WAIT_S)
    assert [each["kind"] for each in gateway.moved(reservation_id)] == ["CAPTURE", "REFUND"]


def test_the_audit_is_clean_after_all_that(system: System, gateway: Gateway) -> None:
    audited = system.hiresort("audit", "--ledger", gateway.url, "--wait", "60")
    assert audited.returncode == 0, audited.stdout + audited.stderr


def test_the_secret_is_the_owners_alone_and_in_no_log(system: System) -> None:
    folder = system.folder / ".hiresort"
    [secret] = read_secrets(folder / "callback.secret")
    files = [folder / "run.json", *(folder / "log").glob("*.log")]
    assert not [file.name for file in files if secret in file.read_bytes()]
