"""The reservations application, from commands to mypage, on a log in memory."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from schemas.records import Availability, Charge, Expire, Message, MyPage, Refund, ReservationEvent
from streams.engine.driver import TopologyDriver
from streams.engine.log import Headers
from streams.engine.memory import Fault
from streams.placement import FORWARDED_FROM
from tests.domain.examples import (
    CARD,
    CHECK_IN_MS,
    DEADLINE,
    HOLD_MS,
    IDS,
    NOW,
    PRICE,
    RID,
    SEORAK,
    approved,
    cancel,
    declined,
    expire,
    pay,
    refunded,
    reserve,
)
from topics.catalog import DEAD_LETTERS, PARTITIONS, RESERVATIONS_APP
from topics.partitioner import partition_for

COMMANDS = "reservation-commands"
RESULTS = "payment-results"
HERE = partition_for(b"seorak", PARTITIONS)
ELSEWHERE = (HERE + 1) % PARTITIONS


@pytest.fixture
async def driver(tmp_path: Path) -> AsyncIterator[TopologyDriver]:
    """Return the application with the resort Seorak in its catalogue, at the examples' time."""
    async with TopologyDriver("streams.reservations", tmp_path) as driver:
        driver.cluster.now_ms = NOW
        driver.send("resorts", SEORAK.resort_id, SEORAK)
        await driver.settle()
        yield driver


async def tell(
    driver: TopologyDriver,
    topic: str,
    *messages: Message,
    partition: int = -1,
    timestamp_ms: int | None = None,
    headers: Headers | None = None,
) -> None:
    """Send messages of the resort and wait until they have had their effects."""
    for message in messages:
        driver.send(
            topic,
            message.resort_id,
            message,
            partition=partition,
            timestamp_ms=timestamp_ms,
            headers=headers,
        )
    await driver.settle()


def events(driver: TopologyDriver) -> list[str]:
    """Return the types of all events, in order of their versions."""
    told: list[ReservationEvent] = driver.records("reservation-events")
    return [event.type for event in sorted(told, key=lambda event: event.version)]


def mypage(driver: TopologyDriver) -> MyPage:
    """Return Ada's row of her reservation."""
    row: MyPage = driver.table("mypage")[f"ada/{RID}"]
    return row


def rooms(driver: TopologyDriver) -> list[tuple[int, int]]:
    """Return rooms held and confirmed in each of the stay's nights."""
    nights = [f"seorak/twin/2026-07-{day}" for day in (10, 11)]
    rows: list[Availability] = [driver.table("availability")[night] for night in nights]
    return [(row.held, row.confirmed) for row in rows]


def dead(driver: TopologyDriver) -> list[str]:
    """Return the errors of the dead letters."""
    headers = [dict(record.headers() or ()) for record in driver.messages(DEAD_LETTERS.name)]
    return [(header["error"] or b"").decode() for header in headers]


async def test_a_reservation_with_a_payment_type_asks_for_its_charge(
    driver: TopologyDriver,
) -> None:
    await tell(driver, COMMANDS, reserve(**CARD))
    assert events(driver) == ["Held", "PaymentRequested"]
    assert driver.records("payment-requests") == [
        Charge(
            **IDS,
            customer_id="ada",
            amount=PRICE,
            currency="KRW",
            payment_type="card",
            not_after=DEADLINE,
            requested_at=NOW,
        )
    ]
    assert (mypage(driver).status, rooms(driver)) == ("PENDING", [(1, 0), (1, 0)])


async def test_a_charge_and_its_events_are_one_transaction_with_the_rows(
    driver: TopologyDriver,
) -> None:
    await tell(driver, COMMANDS, reserve(**CARD))
    changelogs = [f"{RESERVATIONS_APP}-{t}-changelog" for t in ("reservations", "availability")]
    records = [
        record
        for topic in ("reservation-events", "payment-requests", *changelogs)
        for record in driver.messages(topic)
    ]
    assert len(records) == 6
    assert len({record.transaction for record in records}) == 1


async def test_an_approval_confirms_issues_a_ticket_and_shows_it(driver: TopologyDriver) -> None:
    await tell(driver, COMMANDS, reserve(**CARD))
    await tell(driver, RESULTS, approved())
    row = mypage(driver)
    assert (row.status, row.ticket, row.payment_id) == ("CONFIRMED", "seorak-2", "p1")
    assert [change.type for change in row.history] == ["Held", "PaymentRequested", "TicketIssued"]
    assert driver.table("tickets")["seorak-2"].status == "ISSUED"
    assert rooms(driver) == [(0, 1), (0, 1)]
    assert dict(driver.table("deadlines").items()) == {}


async def test_the_same_message_again_changes_nothing(driver: TopologyDriver) -> None:
    for _ in range(2):
        await tell(driver, COMMANDS, reserve(**CARD), reserve(**CARD))
        await tell(driver, RESULTS, approved(), approved())
    assert events(driver) == ["Held", "PaymentRequested", "TicketIssued"]
    assert len(driver.records("payment-requests")) == 1
    assert dead(driver) == []


async def test_a_cancel_after_the_confirmation_asks_for_the_refund(driver: TopologyDriver) -> None:
    await tell(driver, COMMANDS, reserve(**CARD))
    await tell(driver, RESULTS, approved())
    await tell(driver, COMMANDS, cancel())
    assert driver.records("payment-requests")[1:] == [
        Refund(
            **IDS,
            customer_id="ada",
            payment_id="p1",
            amount=PRICE,
            currency="KRW",
            requested_at=NOW,
        )
    ]
    assert (mypage(driver).status, mypage(driver).refund) == ("CANCELLED", "PENDING")
    assert driver.table("tickets")["seorak-2"].status == "CANCELLED"
    assert rooms(driver) == [(0, 0), (0, 0)]
    await tell(driver, RESULTS, refunded())
    assert mypage(driver).refund == "DONE"


async def test_a_cancel_on_the_day_of_check_in_is_refused(driver: TopologyDriver) -> None:
    await tell(driver, COMMANDS, reserve(**CARD))
    await tell(driver, RESULTS, approved())
    await tell(driver, COMMANDS, cancel(requested_at=CHECK_IN_MS))
    assert events(driver)[-1] == "CancelRefused"
    assert mypage(driver).status == "CONFIRMED"


async def test_a_declined_charge_rejects_and_releases_the_rooms(driver: TopologyDriver) -> None:
    await tell(driver, COMMANDS, reserve(**CARD))
    await tell(driver, RESULTS, declined())
    assert (mypage(driver).status, mypage(driver).reason) == ("REJECTED", "PAYMENT_DECLINED")
    assert rooms(driver) == [(0, 0), (0, 0)]


async def test_no_more_rooms_are_held_than_there_are(driver: TopologyDriver) -> None:
    await tell(driver, COMMANDS, *(reserve(idempotency_key=f"key-{i}") for i in range(5)))
    told = driver.records("reservation-events")
    assert [event.reason for event in told] == [None, None, None, "SOLD_OUT", "SOLD_OUT"]
    assert [event.decision for event in told] == [1, 2, 3, 4, 5]
    assert rooms(driver) == [(3, 0), (3, 0)]


async def test_the_catalogue_in_force_decides(driver: TopologyDriver) -> None:
    driver.send("resorts", SEORAK.resort_id, None)
    await tell(driver, COMMANDS, reserve())
    (event,) = driver.records("reservation-events")
    assert (event.type, event.reason) == ("ReservationRejected", "UNKNOWN_RESORT")


async def test_a_misplaced_command_is_moved_once_to_its_resorts_partition(
    driver: TopologyDriver,
) -> None:
    await tell(driver, COMMANDS, reserve(), partition=ELSEWHERE)
    assert (events(driver), dead(driver)) == (["Held"], [])
    moved, original = sorted(driver.messages(COMMANDS), key=lambda r: r.partition() == ELSEWHERE)
    assert (moved.partition(), original.partition()) == (HERE, ELSEWHERE)
    assert moved.headers() == [(FORWARDED_FROM, b"%d" % ELSEWHERE)]
    assert mypage(driver).status == "HELD"


async def test_a_misplaced_payment_result_is_moved_within_its_topic(
    driver: TopologyDriver,
) -> None:
    await tell(driver, COMMANDS, reserve(payment_type="card"))
    await tell(driver, RESULTS, approved(), partition=ELSEWHERE)
    assert dead(driver) == []
    assert mypage(driver).status == "CONFIRMED"


async def test_a_command_that_is_misplaced_again_is_a_dead_letter(driver: TopologyDriver) -> None:
    await tell(
        driver, COMMANDS, reserve(), partition=ELSEWHERE, headers=[(FORWARDED_FROM, b"%d" % HERE)]
    )
    assert events(driver) == []
    (error,) = dead(driver)
    assert error == (
        f"streams.placement.Misplaced: a record of 'seorak' is in partition {ELSEWHERE}, "
        f"not {HERE}, once more"
    )


async def test_a_reservation_that_is_not_paid_expires_at_its_deadline(
    driver: TopologyDriver,
) -> None:
    await tell(driver, COMMANDS, reserve())
    assert [key for key, _ in driver.table("deadlines").items()] == [f"{DEADLINE:013d}/{RID}"]
    await driver.tick("expire")
    await driver.settle()
    assert mypage(driver).status == "HELD"
    driver.advance(HOLD_MS + 1)
    await driver.tick("expire")
    await driver.settle()
    assert driver.records(COMMANDS)[1:] == [Expire(**IDS, deadline_at=DEADLINE)]
    assert (mypage(driver).status, mypage(driver).reason) == ("EXPIRED", "EXPIRED")
    assert rooms(driver) == [(0, 0), (0, 0)]
    assert dict(driver.table("deadlines").items()) == {}


async def test_an_expire_before_the_deadline_changes_nothing(driver: TopologyDriver) -> None:
    await tell(driver, COMMANDS, reserve())
    await tell(driver, COMMANDS, expire(), timestamp_ms=DEADLINE - 1)
    assert (events(driver), dead(driver)) == (["Held"], [])


async def test_a_payment_in_time_stops_the_expiry_of_the_hold_only_once_it_is_taken(
    driver: TopologyDriver,
) -> None:
    await tell(driver, COMMANDS, reserve(), pay())
    assert events(driver) == ["Held", "PaymentRequested"]
    driver.advance(HOLD_MS + 1)
    await driver.tick("expire")
    await driver.settle()
    assert mypage(driver).status == "EXPIRED"
    await tell(driver, RESULTS, approved())
    assert (events(driver)[-1], mypage(driver).refund) == ("RefundRequested", "PENDING")


async def test_an_approval_after_the_cancel_is_refunded(driver: TopologyDriver) -> None:
    await tell(driver, COMMANDS, reserve(**CARD), cancel())
    await tell(driver, RESULTS, approved())
    assert [type(request) for request in driver.records("payment-requests")] == [Charge, Refund]
    assert mypage(driver).status == "CANCELLED"


async def test_a_cancel_before_its_reserve_is_a_dead_letter(driver: TopologyDriver) -> None:
    await tell(driver, COMMANDS, cancel(), reserve())
    assert (events(driver), len(dead(driver))) == (["Held"], 1)
    assert dead(driver)[0].startswith("streams.domain.errors.UnknownReservation")


@pytest.mark.parametrize(
    "value", [b"", b"{}", b"\x00\x00\x00\x00\xff", b"\x01\x00\x00\x00\x01", None]
)
async def test_what_is_no_command_is_a_dead_letter_and_holds_nobody_up(
    driver: TopologyDriver, value: bytes | None
) -> None:
    driver.send(COMMANDS, "seorak", value)
    await tell(driver, COMMANDS, reserve())
    assert (events(driver), len(dead(driver))) == (["Held"], 1)


async def test_a_broken_entry_of_the_catalogue_leaves_the_resort_as_it_was(
    driver: TopologyDriver,
) -> None:
    driver.send("resorts", "seorak", b"broken")
    await tell(driver, COMMANDS, reserve())
    assert (events(driver), len(dead(driver))) == (["Held"], 1)


@pytest.mark.parametrize("fault", ["before", "during", "after", "abort"])
async def test_a_fault_at_any_commit_of_a_story_changes_nothing(
    driver: TopologyDriver, fault: Fault
) -> None:
    story: list[tuple[str, Message]] = [
        (COMMANDS, reserve(**CARD)),
        (RESULTS, approved()),
        (COMMANDS, cancel()),
    ]
    for topic, message in story:
        driver.cluster.fail_next_commit(fault)
        driver.send(topic, message.resort_id, message)
        if fault == "abort":
            await driver.settle()
        else:
            with pytest.raises(Exception, match="killed"):
                await driver.settle()
            await driver.restart()
            await driver.settle()
    assert events(driver) == [
        *("Held", "PaymentRequested", "TicketIssued"),
        *("ReservationCancelled", "RefundRequested"),
    ]
    assert [change.type for change in mypage(driver).history] == events(driver)
    assert (rooms(driver), dead(driver)) == ([(0, 0), (0, 0)], [])
