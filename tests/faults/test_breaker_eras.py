"""What is read of the breaker's states, and counted of the calls by them."""

from datetime import datetime

from tests.faults.breaker_eras import Era, calls_while_open, eras, most_probes
from tests.faults.sandbox_control import Call


def call(number: int, began: int, ended: int | None = None) -> Call:
    return Call(number=number, method="charge", step="r/charge", began=began, ended=ended)


def line(at: int, text: str) -> str:
    when = datetime.fromtimestamp(at / 1000).astimezone().strftime("%Y-%m-%d %H:%M:%S,%f")
    return f"[{when[:-3]}] [4711] [WARNING]: {text} \n"


def test_the_states_are_read_from_a_workers_log() -> None:
    log = [
        line(1_000, "the breaker of the gateway is OPEN: 10 of 20 calls failed; no call for 4.2 s"),
        line(2_000, "something else"),
        line(5_200, "the breaker of the gateway is HALF_OPEN"),
        line(5_300, "the breaker of the gateway is CLOSED"),
    ]
    assert eras(log, until=9_000) == [
        Era("OPEN", 1_000, 5_200),
        Era("HALF_OPEN", 5_200, 5_300),
        Era("CLOSED", 5_300, 9_000),
    ]


def test_a_call_counts_as_made_while_open_unless_it_was_under_way() -> None:
    opened = [Era("OPEN", 1_000, 5_000), Era("HALF_OPEN", 5_000, 6_000)]
    calls = [call(1, 990), call(2, 1_010), call(3, 4_000), call(4, 5_000)]
    assert [each.number for each in calls_while_open(opened, calls)] == [3]


def test_probes_are_counted_at_a_time_not_in_all() -> None:
    probing = [Era("HALF_OPEN", 1_000, 2_000)]
    calls = [call(1, 900), call(2, 1_000, 1_100), call(3, 1_050), call(4, 1_100, 1_200)]
    assert most_probes(probing, calls) == 2
