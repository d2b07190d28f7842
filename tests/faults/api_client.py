"""The API as its customers use it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, NamedTuple

import aiohttp

ANSWER_S = 60.0
DAYS_AHEAD = 30
UNAVAILABLE = "urn:hiresort:problem:payment-unavailable"

Json = dict[str, Any]


class Answer(NamedTuple):
    """What the API said."""

    status: int
    headers: Mapping[str, str]
    body: Json

    @property
    def is_payment_unavailable(self) -> bool:
        """Whether it says that nothing was charged, and to try again later."""
        wanted = HTTPStatus.SERVICE_UNAVAILABLE, UNAVAILABLE
        return (self.status, self.body.get("type")) == wanted

    @property
    def says_how_to_try_again(self) -> bool:
        """Whether it says when, and that it takes a new key."""
        return int(self.headers.get("Retry-After", 0)) > 0 and self.body.get("new_key") is True


class Api:
    """Calls of the API, each answered by whatever it says."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def reserve(
        self, customer: str, key: str, stay: Json, *, prefer: str = "wait=30"
    ) -> Answer:
        """POST /reservations."""
        headers = {"X-Customer-Id": customer, "Idempotency-Key": key, "Prefer": prefer}
        return await self._call("POST", "/reservations", stay, headers)

    async def pay(self, reservation_id: str) -> Answer:
        """POST /payments."""
        body = {"reservationid": reservation_id, "paymenttype": "card"}
        return await self._call("POST", "/payments", body, {"Prefer": "wait=30"})

    async def cancel(self, reservation_id: str) -> Answer:
        """DELETE /reservations/{id}."""
        return await self._call("DELETE", f"/reservations/{reservation_id}")

    async def mypage(self, customer: str) -> Answer:
        """GET /mypage/{customer_id}."""
        return await self._call("GET", f"/mypage/{customer}")

    async def _call(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        async with self._session.request(method, path, json=body, headers=headers) as response:
            # problems come as application/problem+json
            return Answer(response.status, response.headers, await response.json(content_type=None))


@asynccontextmanager
async def api_at(origin: str) -> AsyncIterator[Api]:
    """The API there, for any number of customers at a time."""
    async with aiohttp.ClientSession(
        origin,
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=ANSWER_S),
    ) as session:
        yield Api(session)


def stay(resort_id: str, nights: int = 1, *, payment_type: str | None = "card") -> Json:
    """The body of a reservation that can be cancelled for weeks; held without a payment type."""
    check_in = datetime.now(UTC).date() + timedelta(days=DAYS_AHEAD)
    body: Json = {
        "resort_id": resort_id,
        "check_in": check_in.isoformat(),
        "nights": nights,
        "persons": 1,
    }
    return body if payment_type is None else {**body, "payment_type": payment_type}
