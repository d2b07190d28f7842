"""The only client of the payment gateway.

Every call names its step, the gateway's Idempotency-Key, so that sending it again moves no more
money. An answer is believed only when it is about what was asked for; whatever else comes back
leaves the step open.

Errors (none reaches an HTTP client of ours; the caller works each off):
    GatewayError                step, reason
    +-- Unsent                  nothing reached the gateway: safe to send again
    +-- Unknown                 it may have reached it, no answer to believe: ask by step
    |   +-- Undecided           the gateway says that it has not decided yet
    +-- KeyReused               the gateway holds this step for another request: ask by step
"""

from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Annotated, Literal, Self

import aiohttp
import msgspec
from msgspec import Meta
from yarl import URL

AnswerKind = Literal["APPROVED", "DECLINED", "REFUNDED", "REFUND_FAILED"]

ANSWER_BYTES = 64 * 1024
"""An answer longer than this is not one."""

_FIRST_STATUS = {"APPROVED": 201, "REFUNDED": 201, "DECLINED": 402, "REFUND_FAILED": 422}


class GatewayError(Exception):
    """A call that ended without an answer to believe."""

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(f"{step}: {reason}")
        self.step = step
        self.reason = reason


class Unsent(GatewayError):
    """No connection was made, so nothing was asked."""


class Unknown(GatewayError):
    """The gateway may have done what was asked."""


class Undecided(Unknown):
    """The gateway works, and has the step, but can't say yet how it ends."""


class KeyReused(GatewayError):
    """The gateway has answered this step before, for another request."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """In seconds: to connect, between two pieces of an answer, and for a call as a whole."""

    connect_s: float = 2.0
    read_s: float = 10.0
    total_s: float = 15.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gateway said of one step.

    `amount` is in minor units of `currency`; `payment_id` names the payment made or given back,
    `reason` says why not.
    """

    kind: AnswerKind
    payment_id: str | None
    amount: int
    currency: str
    reason: str | None


class _Body(msgspec.Struct, frozen=True, kw_only=True):
    status: AnswerKind
    amount: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]
    # It becomes a part of the step that gives the payment back, which stands in a header.
    payment_id: Annotated[str, Meta(pattern=r"^[!-~]{1,100}\Z")] | None = None
    reason: Annotated[str, Meta(max_length=1000)] | None = None


class _NeverSeen(msgspec.Struct, frozen=True, kw_only=True):
    step: str


class Gateway:
    """One client for the whole process; enter it with `async with` before its first call.

    Any number of tasks may call at once; over `connections` they wait for one, as long as it may
    take to connect.
    """

    def __init__(
        self, url: str, timeouts: Timeouts | None = None, *, connections: int = 64
    ) -> None:
        """`url` is the gateway's http or https address; raises ValueError for anything else."""
        base = URL(url)
        if base.scheme not in ("http", "https") or not base.host:
            raise ValueError(f"the gateway's address is http://HOST:PORT or https://…, not {url!r}")
        self._charges = base / "charges"
        self._refunds = base / "refunds"
        self._steps = base / "steps"
        self._connections = connections
        timeouts = timeouts or Timeouts()
        self._timeout = aiohttp.ClientTimeout(
            total=timeouts.total_s, connect=timeouts.connect_s, sock_read=timeouts.read_s
        )
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections),
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            auto_decompress=False,
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

        An APPROVED answer carries the amount and currency that the gateway says it took, which
        may differ from those asked for: money has moved, and the domain has a rule for it.
        Raises Unsent, Unknown, KeyReused.
        """
        answer = await self._post(
            self._charges,
            step,
            {
                "reservation_id": reservation_id,
                "amount": amount,
                "currency": currency,
                "payment_type": payment_type,
            },
        )
        if answer.kind == "APPROVED":
            return answer
        if answer.kind == "DECLINED" and (answer.amount, answer.currency) == (amount, currency):
            return answer
        raise Unknown(step, f"not an answer to a charge of {amount} {currency}: {answer}")

    async def refund(self, step: str, *, payment_id: str, amount: int, currency: str) -> Answer:
        """Give `amount` minor units of a payment back; REFUNDED or REFUND_FAILED.

        Raises Unsent, Unknown, KeyReused.
        """
        answer = await self._post(
            self._refunds,
            step,
            {"payment_id": payment_id, "amount": amount, "currency": currency},
        )
        said = (answer.amount, answer.currency)
        if (
            answer.kind in ("REFUNDED", "REFUND_FAILED")
            and said == (amount, currency)
            and answer.payment_id in (payment_id, None)
        ):
            return answer
        raise Unknown(
            step, f"not an answer to a refund of {amount} {currency} of {payment_id}: {answer}"
        )

    async def inquire(self, step: str) -> Answer | None:
        """The first answer that `step` was given; None when the gateway has never seen it.

        The caller knows what the step asked for, and judges the answer by it. A 404 counts only
        when it names the step: any server at a wrong address answers 404. Raises Unsent, Unknown.
        """
        status, body = await self._call(step, "GET", self._steps.with_query(key=step))
        if status == HTTPStatus.OK:
            return _answer(step, status, body)
        if status == HTTPStatus.NOT_FOUND and _names(step, body):
            return None
        if status == HTTPStatus.ACCEPTED:
            raise Undecided(step, "the gateway is deciding it")
        raise Unknown(step, f"the gateway answered {status} to an inquiry")

    async def _post(self, url: URL, step: str, request: dict[str, str | int]) -> Answer:
        status, body = await self._call(step, "POST", url, msgspec.json.encode(request))
        if status == HTTPStatus.CONFLICT:
            raise KeyReused(step, "the gateway holds this step for another request")
        return _answer(step, status, body)

    async def _call(
        self, step: str, method: str, url: URL, body: bytes | None = None
    ) -> tuple[int, bytes]:
        if self._session is None:
            raise RuntimeError("enter the gateway with `async with` before its first call")
        if not step.isprintable():
            raise Unsent(step, "a step with control characters can't stand in a header")
        headers = {"Idempotency-Key": step, "Content-Type": "application/json"} if body else None
        try:
            async with self._session.request(
                method, url, data=body, headers=headers, allow_redirects=False
            ) as response:
                return response.status, await _read(step, response)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Unsent(step, f"no connection to the gateway: {_text(error)}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unknown(step, f"no answer from the gateway: {_text(error)}") from error


async def _read(step: str, response: aiohttp.ClientResponse) -> bytes:
    body = b""
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > ANSWER_BYTES:
            raise Unknown(step, f"the gateway's answer is longer than {ANSWER_BYTES} bytes")
    return body


def _answer(step: str, status: int, body: bytes) -> Answer:
    """The answer in `body`, as far as it makes sense by itself; raises Unknown."""
    try:
        said = msgspec.json.decode(body, type=_Body)
    except ValueError as error:  # msgspec's errors and bad UTF-8
        raise Unknown(step, f"the gateway answered {status} with no answer: {error}") from error
    if status not in (HTTPStatus.OK, _FIRST_STATUS[said.status]):
        raise Unknown(step, f"the gateway answered {status} and {said.status}, which differ")
    if said.status == "APPROVED" and said.payment_id is None:
        raise Unknown(step, "the gateway approved without a payment_id")
    return Answer(said.status, said.payment_id, said.amount, said.currency, said.reason)


def _names(step: str, body: bytes) -> bool:
    try:
        return msgspec.json.decode(body, type=_NeverSeen).step == step
    except ValueError:
        return False


def _text(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
