"""One customer, and one address, gets so much and no more."""

from ipaddress import ip_network

import pytest
from aiohttp import ClientSession

from api import rate
from api.rate import Buckets, Rate, Rates
from api.tokens import Tokens
from tests.api.signing import bearer, verifier


class Clock:
    """Moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens() -> Tokens:
    return verifier()


@pytest.fixture
def rates(clock: Clock) -> Rates:
    return Rates(
        customer=Buckets(Rate(1, 3), clock=clock),
        address=Buckets(Rate(2, 10), clock=clock),
        trusted=[ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8")],
    )


def test_a_bucket_gives_what_is_in_it_and_fills_again(clock: Clock) -> None:
    buckets = Buckets(Rate(2, 3), clock=clock)
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert buckets.take("b") == 0
    clock.now += 0.5
    assert [buckets.take("a") for _ in range(2)] == [0, 0.5]
    clock.now += 3600
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0.5]


def test_who_was_longest_away_is_forgotten_first(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate, "MOST_KEPT", 2)
    buckets = Buckets(Rate(1, 1), clock=clock)
    for key in ("a", "b", "a", "c"):
        buckets.take(key)
    assert buckets.take("a") > 0
    assert buckets.take("b") == 0


async def test_a_customer_over_it_is_told_when_to_come_again(
    client: ClientSession, clock: Clock
) -> None:
    for status in (200, 200, 200, 429):
        async with client.get("/resorts", headers=bearer(sub="ada")) as response:
            assert response.status == status
            problem = await response.json(content_type=None)
    assert problem["type"] == "urn:hiresort:problem:too-many-requests"
    assert response.headers["Retry-After"] == "1"
    assert response.headers["RateLimit"] == '"customer";r=0;t=1'
    async with client.get("/resorts", headers=bearer(sub="eve")) as response:
        assert response.status == 200
    clock.now += 1
    async with client.get("/resorts", headers=bearer(sub="ada")) as response:
        assert response.status == 200


async def test_an_address_is_limited_before_it_is_asked_for_a_token(client: ClientSession) -> None:
    for status in [401] * 10 + [429]:
        async with client.get("/resorts") as response:
            assert response.status == status


async def test_a_line_that_a_proxy_adds_counts_and_not_the_clients_own(
    client: ClientSession, rates: Rates
) -> None:
    headers = [("X-Forwarded-For", "198.51.100.7"), ("X-Forwarded-For", "192.0.2.1")]
    async with client.get("/resorts", headers=headers):
        pass
    assert rates.address is not None
    assert [rates.address.take("192.0.2.1") for _ in range(10)][-1] > 0
    assert rates.address.take("198.51.100.7") == 0


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        (None, "127.0.0.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("203.0.113.9, 192.0.2.1", "192.0.2.1"),
        ("192.0.2.1, 10.1.2.3", "192.0.2.1"),
        ("garbage", "127.0.0.1"),
        ("192.0.2.1, garbage", "127.0.0.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
    ],
)
async def test_the_address_is_the_last_that_no_trusted_proxy_has(
    client: ClientSession, rates: Rates, forwarded: str | None, address: str
) -> None:
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    for status in [401] * 10 + [429]:
        async with client.get("/resorts", headers=headers) as response:
            assert response.status == status
    assert rates.address is not None
    assert rates.address.take(address) > 0
