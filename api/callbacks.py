"""POST /payments/callbacks: what the gateway says of a step on its own account.

It becomes an outcome like any other. It may come twice, late or after another: the payments
application applies a step once.
"""

import logging

from aiohttp import web

from api import requests
from api.callback_reader import Callbacks
from api.keys import CALLBACKS, NOW
from api.problems import Malformed, Unauthenticated, Unavailable
from api.sending import RETRY_S, Undelivered
from connect.callbacks import CallbackRefused, Said, SignatureRefused
from schemas.records import PaymentOutcome
from streams.domain import MAX_AMOUNT, InvalidCommand, resort_of

logger = logging.getLogger(__name__)

LARGEST_CALLBACK = 16 << 10
NOT_CONFIGURED_RETRY_S = 60


async def take(request: web.Request) -> web.Response:
    """Verify a callback, and answer once Kafka has what it says."""
    callbacks = request.app[CALLBACKS]
    if callbacks is None:
        raise Unavailable(
            "callbacks-not-configured",
            "no callback can be verified here: HIRESORT_CALLBACK_SECRET_FILE names no file "
            "with the gateway's secret",
            retry_after_s=NOT_CONFIGURED_RETRY_S,
        )
    body = await requests.read_raw(request, LARGEST_CALLBACK)
    now = request.app[NOW]()
    said = _verified(request, callbacks, body, now // 1000)
    if said is not None:
        await _deliver(callbacks, _outcome(said, now))
    return web.Response(status=204)


def _verified(request: web.Request, callbacks: Callbacks, body: bytes, now_s: int) -> Said | None:
    reader = callbacks.reader
    # Two of them are one list, as HTTP has it, and then no signature.
    signature = ", ".join(request.headers.getall(reader.header, [])) or None
    try:
        return reader.verify(reader.secrets, body, signature, now_s)
    except SignatureRefused as error:
        callbacks.unsigned += 1
        if callbacks.unsigned & (callbacks.unsigned - 1) == 0:
            # 1, 2, 4, 8, ...: anybody may send them, and must not fill the log.
            logger.warning(
                "%d callbacks were not signed by the gateway; of the last one: %s",
                callbacks.unsigned,
                error.reason,
            )
        raise Unauthenticated("not-signed", error.reason, scheme=reader.header) from None
    except CallbackRefused as error:
        raise _malformed(error.reason) from None


def _outcome(said: Said, now: int) -> PaymentOutcome:
    """Return the outcome that is told of. Raises Malformed if no step of ours can end like that."""
    answer = said.answer
    try:
        resort_id = resort_of(said.reservation_id)
    except InvalidCommand as error:
        raise _malformed(f"reservation_id {error.problem}") from None
    if "/" in said.reservation_id:
        raise _malformed("reservation_id has a slash")
    try:
        (answer.reason or "").encode()
    except UnicodeEncodeError:
        raise _malformed("reason has half of a surrogate pair") from None
    if not 1 <= answer.amount <= MAX_AMOUNT:
        raise _malformed(f"amount has to be from 1 to {MAX_AMOUNT}")
    return PaymentOutcome(
        reservation_id=said.reservation_id,
        resort_id=resort_id,
        step=said.step,
        kind=answer.kind,
        source="CALLBACK",
        payment_id=_payment_id(said),
        amount=answer.amount,
        currency=answer.currency,
        reason=answer.reason,
        # As of an answer: when it was heard.
        at=now,
    )


def _payment_id(said: Said) -> str | None:
    """Return the payment that was made or given back. Raises Malformed as `_outcome`."""
    answer, charge = said.answer, f"{said.reservation_id}/charge"
    refund = f"{said.reservation_id}/refund/"
    if said.step == charge:
        kinds, payment_id = ("APPROVED", "DECLINED"), answer.payment_id
        if answer.kind == "APPROVED" and not payment_id:
            raise _malformed("APPROVED takes a payment_id")
    elif said.step.startswith(refund) and said.step != refund:
        kinds, payment_id = ("REFUNDED", "REFUND_FAILED"), said.step.removeprefix(refund)
        if answer.payment_id not in (payment_id, None):
            raise _malformed("payment_id is not that of the step")
    else:
        raise _malformed("step is none of the reservation")
    if answer.kind not in kinds:
        raise _malformed(f"{answer.kind} is no answer to this step")
    return payment_id


def _malformed(detail: str) -> Malformed:
    logger.warning("refused a callback of the gateway: %s", detail)
    return Malformed("malformed-callback", detail)


async def _deliver(callbacks: Callbacks, outcome: PaymentOutcome) -> None:
    try:
        await callbacks.outcomes.send(outcome)
    except Undelivered as error:
        raise Unavailable(
            "kafka-unavailable",
            f"the callback was not acknowledged ({error}): send it again",
            retry_after_s=RETRY_S,
        ) from None
