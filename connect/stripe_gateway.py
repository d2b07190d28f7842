"""The payment gateway that is Stripe: charges are PaymentIntents, refunds are Refunds.

It has the calls and the errors of `connect.gateway.Gateway`. What differs is how a step is asked
for, for Stripe has no question that is asked by an Idempotency-Key; see docs/decisions, 0014.
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Mapping
from hashlib import sha256
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
import msgspec
import stripe
from yarl import URL

from connect.gateway import ANSWER_BYTES, Answer, KeyReused, Timeouts, Undecided, Unknown, Unsent
from connect.stripe_callbacks import stripe_said
from connect.stripe_errors import Refused, meaning
from connect.stripe_objects import (
    RESERVATION,
    STEP,
    NotAnAnswer,
    PaymentIntent,
    PaymentIntents,
    Refund,
    Refunds,
    charged,
    charged_by_one_of,
    read,
    refunded,
    stripes_amount,
)

__all__ = ["StripeGateway", "stripe_said"]

T = TypeVar("T")

KEYS = 10
"""A charge has so many Idempotency-Keys: its step, and one more for each that was closed."""

# What closes a key. Never to change: Stripe knows a request again by its very parameters.
_NOTHING = {"amount": 1000, "currency": "usd", "payment_method_types": ["card"]}

_REFUSALS = frozenset({"charge_already_refunded", "charge_disputed"})
"""Errors by which Stripe refuses a refund for good."""

_KEY_LENGTH = 200  # Stripe takes 255 characters
_LISTED = 100  # Stripe's longest page


class _Shape(msgspec.Struct, frozen=True):
    """What every answer of Stripe's is at least; of another the package makes a TypeError."""

    error: dict[str, object] | None = None


class _Wire(stripe.AIOHTTPClient):
    """The package's client; but it follows no redirect, and reads no endless answer."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        super().__init__(session=session)
        self._wire = session

    async def request_async(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        post_data: Any = None,  # noqa: ANN401 - as the package has it
    ) -> tuple[bytes, int, Mapping[str, str]]:
        """Ask once; raises aiohttp's own errors, which tell what was sent."""
        async with self._wire.request(
            method, url, headers=headers, data=post_data, allow_redirects=False
        ) as response:
            body = b""
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > 4 * ANSWER_BYTES:
                    raise aiohttp.ClientPayloadError("the answer is too long")
        try:
            msgspec.json.decode(body, type=_Shape)
        except ValueError as error:  # msgspec's errors and bad UTF-8
            raise aiohttp.ClientPayloadError(
                f"{response.status} and no answer of Stripe's: {error}"
            ) from error
        return body, response.status, response.headers


class StripeGateway:
    """One client for the whole process; enter it with `async with` before its first call.

    Any number of tasks may call at once; over `connections` they wait for one, as long as it may
    take to connect.
    """

    def __init__(
        self,
        key: str,
        base: str | None = None,
        timeouts: Timeouts | None = None,
        *,
        connections: int = 64,
    ) -> None:
        """`key` is a secret or restricted key; `base` is another address than Stripe's own.

        Raises ValueError for an address that is neither https nor on this machine.
        """
        address = URL(base or stripe.DEFAULT_API_BASE)
        is_here = address.scheme == "http" and address.host in ("127.0.0.1", "::1", "localhost")
        if not address.host or not (address.scheme == "https" or is_here):
            raise ValueError(f"Stripe's address is https://…, or http on loopback, not {base!r}")
        self._key, self._base = key, str(address.origin())
        self._timeouts = timeouts or Timeouts()
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None
        self._client: stripe.StripeClient | None = None

    async def __aenter__(self) -> Self:
        stripe.enable_telemetry = False  # neither an id of this machine nor how fast we were
        # It would log each call, and at DEBUG all that is in it.
        logging.getLogger("stripe").setLevel(logging.WARNING)
        limits = self._timeouts
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._connections,
                ssl=ssl.create_default_context(cafile=stripe.ca_bundle_path),
            ),
            timeout=aiohttp.ClientTimeout(
                total=limits.total_s, connect=limits.connect_s, sock_read=limits.read_s
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            auto_decompress=False,
        )
        self._client = stripe.StripeClient(
            self._key,
            base_addresses={"api": self._base},
            max_network_retries=0,  # the caller asks before it sends again
            http_client=_Wire(self._session),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session:
            await self._session.close()

    async def charge(
        self, step: str, *, reservation_id: str, amount: int, currency: str, payment_type: str
    ) -> Answer:
        """Take `amount` minor units; APPROVED or DECLINED.

        `payment_type` is the PaymentMethod that the customer's browser was given by Stripe
        (pm_…); anything else is declined without asking. An APPROVED answer carries the amount
        and currency that Stripe says it took. Raises Unsent, Unknown, KeyReused.
        """
        if not payment_type.startswith("pm_"):
            return Answer("DECLINED", None, amount, currency, "not_a_payment_method")
        params = {
            "amount": _counted(step, amount, currency),
            "currency": currency.lower(),
            "payment_method": payment_type,
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "capture_method": "automatic",
            "confirm": True,
            "off_session": True,
            "error_on_requires_action": True,  # there is nobody who could act
            "metadata": {STEP: step, RESERVATION: reservation_id},
        }
        try:
            async with asyncio.timeout(self._timeouts.total_s):
                return charged(await self._create(step, params))
        except TimeoutError:
            raise Unknown(step, "no answer from Stripe in time") from None
        except NotAnAnswer as error:
            raise Undecided(step, str(error)) from error
        except Refused as refused:
            if refused.decline is None:
                raise
            return Answer("DECLINED", None, amount, currency, refused.decline)

    async def refund(self, step: str, *, payment_id: str, amount: int, currency: str) -> Answer:
        """Give `amount` minor units of a PaymentIntent back; REFUNDED or REFUND_FAILED.

        Raises Unsent, Unknown, KeyReused.
        """
        params = {
            "payment_intent": payment_id,
            "amount": _counted(step, amount, currency),
            "metadata": {STEP: step, RESERVATION: step.partition("/")[0]},
        }
        options = {"idempotency_key": _key(step)}
        try:
            said = await self._ask(step, self._v1.refunds.create_async(params, options))
            answer = refunded(read(said.to_dict(), Refund))
        except NotAnAnswer as error:
            raise Undecided(step, str(error)) from error
        except Refused as refused:
            if refused.code not in _REFUSALS:
                raise
            return Answer("REFUND_FAILED", payment_id, amount, currency, refused.code)
        if (answer.payment_id, answer.amount, answer.currency) != (payment_id, amount, currency):
            raise Unknown(
                step, f"not an answer to a refund of {amount} {currency} of {payment_id}: {answer}"
            )
        return answer

    async def inquire(self, step: str) -> Answer | None:
        """What `step` was answered; None when Stripe has not seen it, nor will.

        None for a charge is a promise: what is still on its way with one of its keys will be
        refused. Raises Unsent, Unknown.
        """
        _, is_refund, payment_id = step.partition("/refund/")
        try:
            async with asyncio.timeout(self._timeouts.total_s):
                if is_refund:
                    return await self._refund_of(step, payment_id)
                return await self._charge_of(step)
        except TimeoutError:
            raise Unknown(step, "no answer from Stripe in time") from None
        except NotAnAnswer as error:
            raise Undecided(step, str(error)) from error

    @property
    def _v1(self) -> Any:  # noqa: ANN401 - the package's services take dicts typed by endpoint
        if self._client is None:
            raise RuntimeError("enter the gateway with `async with` before its first call")
        return self._client.v1

    async def _create(self, step: str, params: dict[str, object]) -> PaymentIntent:
        """Make the PaymentIntent with the first key that is not closed."""
        for number in range(KEYS):
            options = {"idempotency_key": _key(step, number)}
            try:
                said = await self._ask(step, self._v1.payment_intents.create_async(params, options))
            except KeyReused:
                if not await self._close(step, number):
                    # Nothing held it any more: what did may have been a charge.
                    raise
            else:
                return read(said.to_dict(), PaymentIntent)
        raise KeyReused(step, f"all of its {KEYS} keys were closed")

    async def _charge_of(self, step: str) -> Answer | None:
        quoted = step.replace("\\", "\\\\").replace('"', '\\"')
        found = await self._ask(
            step,
            self._v1.payment_intents.search_async(
                {"query": f'metadata["{STEP}"]:"{quoted}"', "limit": _LISTED}
            ),
        )
        intents = read(found.to_dict(), PaymentIntents).data
        answer = charged_by_one_of([each for each in intents if each.metadata.get(STEP) == step])
        if answer:
            return answer
        for number in range(KEYS):
            try:
                was_closed = await self._close(step, number)
            except KeyReused as held:
                raise Undecided(step, "Stripe has it, but does not find it yet") from held
            if not was_closed:
                return None
        return None

    async def _close(self, step: str, number: int) -> bool:
        """Use up a key for a PaymentIntent that takes nothing; whether that was done before.

        Raises KeyReused when something else was asked with it.
        """
        said = await self._ask(
            step,
            self._v1.payment_intents.create_async(
                {**_NOTHING, "metadata": {"closes": step}},
                {"idempotency_key": _key(step, number)},
            ),
        )
        headers = said.last_response.headers if said.last_response else {}
        return headers.get("Idempotent-Replayed") == "true"

    async def _refund_of(self, step: str, payment_id: str) -> Answer | None:
        found = await self._ask(
            step,
            self._v1.refunds.list_async({"payment_intent": payment_id, "limit": _LISTED}),
        )
        for refund in read(found.to_dict(), Refunds).data:
            if refund.metadata.get(STEP) == step:
                return refunded(refund)
        return None

    async def _ask(self, step: str, call: Awaitable[T]) -> T:
        try:
            return await call
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Unsent(step, f"no connection to Stripe: {_text(error)}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unknown(step, f"no answer from Stripe: {_text(error)}") from error
        except stripe.StripeError as error:
            raise meaning(step, error) from error


def _key(step: str, number: int = 0) -> str:
    """The step itself, as long as it is fit for a header."""
    fit = step.isascii() and step.isprintable() and len(step) <= _KEY_LENGTH
    key = step if fit else f"sha256-{sha256(step.encode()).hexdigest()}"
    return f"{key}#{number}" if number else key


def _counted(step: str, amount: int, currency: str) -> int:
    try:
        return stripes_amount(amount, currency)
    except ValueError as error:
        raise Unsent(step, str(error)) from error


def _text(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
