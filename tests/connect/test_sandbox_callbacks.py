"""The sandbox tells what it decided: signed, as often and as late as its plan says."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from connect.callbacks import SIGNATURE, Said, SignatureRefused, verified
from connect.gateway import Answer
from connect.sandbox import callbacks as sandbox_callbacks
from connect.sandbox.bank import Bank
from connect.sandbox.callbacks import Redelivery, Sender
from connect.sandbox.faults import FaultPlan, Faults
from tests.connect.sandbox_server import Client, client_of
from tests.connect.waiting import until

SECRET = b"s" * 32
CHARGE = {"reservation_id": "sono.A", "amount": 500, "currency": "KRW", "payment_type": "card"}
QUICK = Redelivery(first_s=0.005, most_s=0.02, tries=4, answer_s=5.0)


@dataclass
class Receiver:
    """Takes callbacks, and says what it is told to: a status, by the step and the try."""

    server: TestServer = field(init=False)
    said: list[Said] = field(default_factory=list)
    refused: int = 0
    tries: Counter[str] = field(default_factory=Counter)
    status: Callable[[str, int], int] = lambda _step, _try: 204
    came: asyncio.Event = field(default_factory=asyncio.Event)
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        app = web.Application()
        app.router.add_post("/callbacks", self.take)
        self.server = TestServer(app, host="127.0.0.1")
        self.may_answer.set()

    async def take(self, request: web.Request) -> web.Response:
        """Verify it, as its real receiver does."""
        body = await request.read()
        assert request.content_type == "application/json"
        try:
            said = verified([SECRET], body, request.headers[SIGNATURE], int(time.time()))
        except SignatureRefused:
            self.refused += 1
            self.came.set()
            return web.Response(status=401)
        self.tries[said.step] += 1
        status = self.status(said.step, self.tries[said.step])
        if status < 300:
            self.said.append(said)
        self.came.set()
        await self.may_answer.wait()
        return web.Response(status=status)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    async with made.server:
        yield made
        made.may_answer.set()


@pytest.fixture
async def telling(bank: Bank, plan: FaultPlan, receiver: Receiver) -> AsyncIterator[Client]:
    """A client of a sandbox that calls the receiver back."""
    sender = Sender(receiver.server.make_url("/callbacks"), SECRET, plan, now_ms, QUICK)
    async with client_of(bank, plan, sender) as client:
        yield client


def now_ms() -> int:
    return time.time_ns() // 1_000_000


async def charge(client: Client, step: str = "sono.A/charge") -> aiohttp.ClientResponse:
    return await client.post("/charges", json=CHARGE, headers={"Idempotency-Key": step})


async def counts(client: Client, **wanted: int) -> dict[str, int]:
    """What `/callbacks` says, once it says what is wanted and nothing is to be sent."""
    wanted |= {"waiting": 0, "sending": 0}
    said: dict[str, int] = {}

    async def is_so() -> bool:
        said.update(await (await client.get("/callbacks")).json())
        return wanted.items() <= said.items()

    await until(is_so)
    return said


async def test_what_was_decided_is_told_signed(telling: Client, receiver: Receiver) -> None:
    body = await (await charge(telling)).json()
    await counts(telling, delivered=1)
    [said] = receiver.said
    assert (said.step, said.reservation_id) == ("sono.A/charge", "sono.A")
    assert said.answer == Answer("APPROVED", body["payment_id"], 500, "KRW", None)


async def test_a_decline_and_refunds_are_told(
    telling: Client, receiver: Receiver, plan: FaultPlan
) -> None:
    payment_id = (await (await charge(telling)).json())["payment_id"]
    plan.faults = Faults(decline=1)
    await charge(telling, "sono.B/charge")
    for step in ("sono.A/refund/1", "sono.A/refund/2"):
        await telling.post(
            "/refunds",
            json={"payment_id": payment_id, "amount": 500, "currency": "KRW"},
            headers={"Idempotency-Key": step},
        )
    await counts(telling, delivered=4)
    assert {said.step: (said.answer.kind, said.reservation_id) for said in receiver.said} == {
        "sono.A/charge": ("APPROVED", "sono.A"),
        "sono.B/charge": ("DECLINED", "sono.A"),
        "sono.A/refund/1": ("REFUNDED", "sono.A"),
        "sono.A/refund/2": ("REFUND_FAILED", "sono.A"),
    }


async def test_a_refund_of_no_payment_is_told_nobody(telling: Client) -> None:
    body = {"payment_id": "none", "amount": 1, "currency": "KRW"}
    await telling.post("/refunds", json=body, headers={"Idempotency-Key": "sono.A/refund"})
    assert (await counts(telling))["delivered"] == 0


async def test_a_step_asked_for_again_is_not_told_again(telling: Client) -> None:
    await charge(telling)
    await charge(telling)
    assert (await counts(telling, delivered=1))["delivered"] == 1


@pytest.mark.parametrize("faults", [Faults(error_after=1), Faults(cut_after=1)])
async def test_what_was_decided_is_told_although_its_answer_was_lost(
    telling: Client, receiver: Receiver, plan: FaultPlan, faults: Faults
) -> None:
    plan.faults = faults
    try:
        assert (await charge(telling)).status == 500
    except aiohttp.ClientError:
        assert faults.cut_after
    await counts(telling, delivered=1)
    assert [said.answer.kind for said in receiver.said] == ["APPROVED"]


async def test_deliveries_of_one_callback_are_one_event_and_shuffled(
    telling: Client, receiver: Receiver, plan: FaultPlan
) -> None:
    plan.faults = Faults(callbacks=3, callback_delay_ms=200)
    steps = [f"sono.{number}/charge" for number in range(20)]
    for step in steps:
        await charge(telling, step)
    await counts(telling, delivered=60)
    events = defaultdict(set)
    for said in receiver.said:
        events[said.step].add(said.event)
    assert Counter(said.step for said in receiver.said) == dict.fromkeys(steps, 3)
    assert {len(of_step) for of_step in events.values()} == {1}
    assert len(set.union(*events.values())) == 20
    assert [said.step for said in receiver.said] != sorted(
        (said.step for said in receiver.said), key=steps.index
    )


async def test_no_callbacks_are_none(telling: Client, plan: FaultPlan) -> None:
    plan.faults = Faults(callbacks=0)
    await charge(telling)
    assert (await counts(telling))["delivered"] == 0


async def test_a_callback_is_delivered_again_until_it_is_taken(
    telling: Client, receiver: Receiver
) -> None:
    receiver.status = lambda _, number: (500, 302, 204)[number - 1]
    await charge(telling)
    said = await counts(telling, delivered=1)
    assert (said["failed"], said["given_up"]) == (2, 0)


async def test_a_callback_that_nobody_takes_is_given_up(
    telling: Client, receiver: Receiver
) -> None:
    receiver.status = lambda _step, _try: 503
    await charge(telling)
    said = await counts(telling, given_up=1)
    assert (said["failed"], said["delivered"]) == (QUICK.tries, 0)
    assert receiver.tries["sono.A/charge"] == QUICK.tries


async def test_waits_for_redelivery_grow_up_to_a_most() -> None:
    longest = Redelivery(share=lambda: 1.0)
    waits = [longest.wait_s(tries) for tries in range(1, 16)]
    assert waits == [0.5, 1, 2, 4, 8, 16, *[30] * 9]
    shortest = Redelivery(share=lambda: 0.0)
    assert [shortest.wait_s(tries) for tries in range(1, 16)] == [wait / 2 for wait in waits]


async def test_forged_callbacks_say_the_opposite_and_are_not_delivered_again(
    telling: Client, receiver: Receiver, plan: FaultPlan
) -> None:
    plan.faults = Faults(forge=1, callbacks=2)
    await charge(telling)
    said = await counts(telling, delivered=2, forged=2)
    assert (said["forged_taken"], said["failed"]) == (0, 0)
    assert receiver.refused == 2
    assert {said.answer.kind for said in receiver.said} == {"APPROVED"}


async def test_a_receiver_that_believes_forgeries_is_told_on(bank: Bank, plan: FaultPlan) -> None:
    plan.faults = Faults(forge=1)
    told: list[str] = []

    async def believe(request: web.Request) -> web.Response:
        told.append((await request.json())["answer"]["status"])
        return web.Response()

    app = web.Application()
    app.router.add_post("/", believe)
    async with TestServer(app, host="127.0.0.1") as credulous:
        sender = Sender(credulous.make_url("/"), SECRET, plan, now_ms, QUICK)
        async with client_of(bank, plan, sender) as client:
            await charge(client)
            await counts(client, delivered=1, forged=1, forged_taken=1)
            page = await (await client.get("/")).text()
    assert told == ["APPROVED", "DECLINED"]
    assert '<tr><td>forged and taken<td class="n bad">1</tr>' in page


async def test_a_receiver_that_hangs_holds_up_no_answer(
    telling: Client, receiver: Receiver
) -> None:
    receiver.may_answer.clear()
    many = sandbox_callbacks.AT_A_TIME * 2
    for number in range(many):
        assert (await charge(telling, f"sono.{number}/charge")).status == 201
    said = await (await telling.get("/callbacks")).json()
    assert said["waiting"] + said["sending"] == many
    receiver.may_answer.set()
    await counts(telling, delivered=many)


async def test_more_than_can_wait_are_dropped_and_counted(
    telling: Client, plan: FaultPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox_callbacks, "WAITING_MOST", 5)
    plan.faults = Faults(callbacks=8, callback_delay_ms=100)
    await charge(telling)
    said = await counts(telling, delivered=5)
    assert said["dropped"] == 3


async def test_it_ends_with_callbacks_to_deliver(
    bank: Bank, plan: FaultPlan, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    plan.faults = Faults(callbacks=2)
    receiver.may_answer.clear()
    sender = Sender(receiver.server.make_url("/callbacks"), SECRET, plan, now_ms, QUICK)
    async with client_of(bank, plan, sender) as client:
        await charge(client)
        await receiver.came.wait()
    assert "2 callbacks still to deliver, which nobody will" in caplog.text


async def test_without_a_url_nobody_is_called_back(sandbox: Client) -> None:
    await charge(sandbox)
    assert await (await sandbox.get("/callbacks")).json() == {"url": None}


async def test_the_page_shows_what_goes_on(telling: Client, plan: FaultPlan) -> None:
    plan.faults = Faults(error_after=1, hang_before=0)
    await charge(telling)
    await counts(telling, delivered=1)
    page = await (await telling.get("/")).text()
    assert '<tr><td>error_after<td class="n">1' in page
    assert "hang_before" not in page
    assert "0 running, 1 at a time at most since the faults were set, 1 in all" in page
    assert '<tr><td>delivered<td class="n">1</tr>' in page


async def test_the_page_shows_calls_that_run(sandbox: Client, plan: FaultPlan) -> None:
    plan.faults = Faults(hang_before=1)

    async def is_shown() -> bool:
        return "&lt;i&gt;/charge" in await (await sandbox.get("/")).text()

    running = asyncio.create_task(charge(sandbox, "<i>/charge"))
    await until(is_shown)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
