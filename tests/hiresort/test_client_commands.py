"""A customer's steps on the command line, each answered in a few lines and an exit status."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from api.tokens import Tokens
from hiresort.cli import run
from streams.domain import reservation_id
from tests.api.fakes import FakeWorker
from tests.api.served import served
from tests.api.signing import claims, signed, verifier

RESERVE = ("reserve", "--customer", "ada", "--resort", "jeju", "--check-in", "2026-12-24")
KEYED = (*RESERVE, "--key", "key-1", "--nights", "2", "--persons", "2")
ID = reservation_id("jeju", "ada", "key-1")

Hiresort = Callable[..., tuple[int, str, str]]


@pytest.fixture
def worker() -> FakeWorker:
    return FakeWorker()


@pytest.fixture
def tokens(request: pytest.FixtureRequest) -> Tokens | None:
    """Return what verifies tokens; nobody is asked for one unless a test says otherwise."""
    return getattr(request, "param", None)


@pytest.fixture
def api(worker: FakeWorker, tokens: Tokens | None) -> Iterator[str]:
    """Return the address of an API that runs in a thread, over the worker in memory."""
    with served(worker, tokens) as origin:
        yield origin


@pytest.fixture
def hiresort(
    api: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Hiresort:
    """Run a command against that API; its status, what it printed, and what it complained."""
    monkeypatch.setenv("HIRESORT_API", api)

    def call(*arguments: str) -> tuple[int, str, str]:
        status = run(arguments)
        return status, *capsys.readouterr()

    return call


def test_a_paid_reservation_shows_its_ticket(hiresort: Hiresort) -> None:
    status, printed, complaint = hiresort(*KEYED, "--pay", "card")
    assert (status, complaint) == (0, "")
    assert printed.splitlines()[:5] == [
        f"CONFIRMED  {ID}",
        "  Jeju Hallasan Resort, 1 standard room, 2 persons",
        "  2026-12-24 to 2026-12-26, 2 nights, customer ada",
        "  258000 KRW in minor units, card",
        "  ticket jeju-2",
    ]
    assert [line.split()[-1] for line in printed.splitlines()[5:]] == [
        "Held",
        "PaymentRequested",
        "TicketIssued",
    ]


def test_a_held_reservation_says_until_when_and_is_paid_afterwards(hiresort: Hiresort) -> None:
    status, printed, _ = hiresort(*KEYED)
    assert (status, "to be paid by 2026-09-21" in printed) == (0, True)
    status, printed, _ = hiresort("pay", ID, "--type", "cash")
    assert (status, printed) == (0, f"APPROVED  {ID}\n  charge of 258000 KRW: APPROVED\n")


def test_the_same_key_again_reserves_nothing(hiresort: Hiresort, worker: FakeWorker) -> None:
    assert hiresort(*KEYED)[:2] == hiresort(*KEYED)[:2]
    assert len(worker.sent) == 1


def test_without_a_key_each_call_is_a_reservation(hiresort: Hiresort, worker: FakeWorker) -> None:
    hiresort(*RESERVE)
    hiresort(*RESERVE)
    assert len(worker.reservations.rows) == 2


def test_a_cancel_shows_that_the_refund_follows(hiresort: Hiresort) -> None:
    hiresort(*KEYED, "--pay", "card")
    status, printed, _ = hiresort("cancel", ID)
    assert (status, printed.splitlines()[0]) == (0, f"REFUND_PENDING  {ID}")


def test_mypage_lists_the_newest_first_and_says_how_to_go_on(hiresort: Hiresort) -> None:
    assert hiresort("mypage", "ada")[:2] == (0, "no reservations of ada\n")
    hiresort(*KEYED, "--pay", "card")
    hiresort(*RESERVE, "--key", "key-2")
    status, printed, _ = hiresort("mypage", "ada", "--limit", "1")
    newest, more = printed.splitlines()
    assert (status, newest.split()[:3]) == (0, ["HELD", "2026-12-24", "1"])
    status, printed, _ = hiresort("mypage", "ada", *more.removeprefix("more: ").split())
    assert (status, printed.split()[0], printed.split()[-1]) == (0, "CONFIRMED", ID)


def test_json_is_the_raw_answer(hiresort: Hiresort, worker: FakeWorker) -> None:
    status, printed, _ = hiresort(*KEYED, "--json")
    assert (status, json.loads(printed)["reservation_id"]) == (0, ID)
    worker.gateway = "DECLINED"
    status, printed, complaint = hiresort(*RESERVE, "--pay", "card", "--json")
    assert (status, json.loads(printed)["status"], complaint) == (1, 402, "")


def test_what_is_refused_is_one_line_and_status_1(hiresort: Hiresort, worker: FakeWorker) -> None:
    worker.gateway = "DECLINED"
    status, printed, complaint = hiresort(*KEYED, "--pay", "card")
    assert (status, printed) == (1, "")
    assert complaint == f"hiresort: the payment was declined [{ID}]\n"


def test_what_kafka_did_not_take_is_repeated_with_the_same_key(
    hiresort: Hiresort, worker: FakeWorker
) -> None:
    worker.kafka = False
    status, _, complaint = hiresort(*RESERVE, "--key", "key-9")
    assert (status, "repeat it with --key key-9" in complaint) == (1, True)


def test_what_is_not_decided_in_time_is_under_way(hiresort: Hiresort, worker: FakeWorker) -> None:
    worker.running = False
    status, printed, _ = hiresort(*KEYED, "--wait", "0")
    assert (status, printed.splitlines()[0]) == (0, f"ACCEPTED  {ID}")
    assert printed.endswith("not decided yet: look again on mypage\n")


@pytest.mark.parametrize(
    "arguments",
    [
        (*RESERVE, "--nights", "0"),
        (*RESERVE[:-1], "24.12.2026"),
        (*RESERVE, "--customer", "a/b"),
        (*RESERVE, "--customer", "a\nb"),
        (*RESERVE, "--resort", "atlantis"),
        (*RESERVE, "--wait", "31"),
        ("reserve", "--customer", "ada"),
        ("pay", "unknown"),
        ("cancel", "../../etc"),
        ("mypage", "a b"),
        ("mypage", "ada", "--cursor", "x"),
    ],
)
def test_a_wrong_request_is_one_line_and_status_2(
    hiresort: Hiresort, arguments: tuple[str, ...]
) -> None:
    status, printed, complaint = hiresort(*arguments)
    assert (status, printed, complaint.count("\n")) == (2, "", 1)
    assert complaint.startswith("hiresort: ")


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("http://127.0.0.1:1", "no API answers at http://127.0.0.1:1"),
        ("127.0.0.1:8088", "is no address of an API"),
        ("ftp://127.0.0.1", "is no address of an API"),
        ("http://127.0.0.1:x", "is no address of an API"),
    ],
)
def test_without_an_api_it_is_one_line_and_status_2(
    hiresort: Hiresort, address: str, told: str
) -> None:
    status, _, complaint = hiresort("mypage", "ada", "--api", address)
    assert (status, complaint.count("\n"), told in complaint) == (2, 1, True)


def test_another_server_is_not_taken_for_the_api(hiresort: Hiresort, api: str) -> None:
    status, _, complaint = hiresort("mypage", "ada", "--api", f"{api}/?")
    assert (status, "is not this API" in complaint) == (2, True)


@pytest.mark.parametrize("tokens", [verifier()], ids=["asked"], indirect=True)
def test_the_token_of_a_file_is_sent(
    hiresort: Hiresort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, _, complaint = hiresort("mypage", "ada")
    assert (status, "send a token" in complaint) == (2, True)
    file = tmp_path / "token"
    for text in (None, "", "two words", "한글"):
        if text is not None:
            file.write_text(text)
        monkeypatch.setenv("HIRESORT_TOKEN_FILE", str(file))
        status, _, complaint = hiresort("mypage", "ada")
        assert (status, "HIRESORT_TOKEN_FILE" in complaint) == (2, True)
    file.write_text(signed(claims(sub="ada")) + "\n")
    assert hiresort("mypage", "ada")[0] == 0
    assert hiresort("mypage", "eve")[0] == 2
