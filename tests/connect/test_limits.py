"""The gateway's limits, as the environment says them."""

import pytest

from connect.limits import GatewayLimits


def test_unless_said_they_are_the_defaults() -> None:
    assert GatewayLimits.of({}) == GatewayLimits()


def test_each_can_be_said() -> None:
    limits = GatewayLimits.of(
        {
            "HIRESORT_GATEWAY_READ_S": "0.5",
            "HIRESORT_GATEWAY_CALLS": "8",
            "HIRESORT_BREAKER_BAD_SHARE": "0.25",
        }
    )
    assert (limits.timeouts.read_s, limits.timeouts.connect_s) == (0.5, 2.0)
    assert (limits.room.calls, limits.room.waiting) == (8, 10_000)
    assert limits.breaker.bad_share == 0.25


@pytest.mark.parametrize("said", ["", "x", "0", "-1", "nan", "inf"])
@pytest.mark.parametrize("name", ["HIRESORT_GATEWAY_TOTAL_S", "HIRESORT_BREAKER_CALLS"])
def test_what_is_no_number_above_0_is_refused_in_one_line(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"{name} has to be a .*number above 0, not '{said}'"):
        GatewayLimits.of({name: said})
