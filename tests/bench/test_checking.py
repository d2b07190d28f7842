"""What the checker of the reference work finds: nothing in a right log, each kind of wrong."""

from dataclasses import replace

import pytest

from bench import rules
from bench.avro import Value, encoder
from bench.checking import Log, check
from bench.committed import Written
from bench.reserves import Input

GIVEN = Input(200, resorts=1, days=3)


def written(key: str, value: bytes) -> Written:
    return Written(0, key.encode(), value)


def right_log() -> Log:
    """What a worker without any fault writes."""
    held: dict[str, int] = {}
    rows: dict[str, Value] = {}
    requests: list[Written] = []
    results: list[Written] = []
    events: list[Written] = []
    page: list[Written] = []

    def held_in(night: str) -> int:
        return held.get(night, 0)

    def keep(row: Value) -> None:
        rows[row["reservation_id"]] = row

    for command in GIVEN:
        out = rules.reserve(command, held_in, held.__setitem__, keep)
        if "kind" not in out:
            requests.append(written(out["reservation_id"], rules.write_request(out)))
            result = rules.pay(out)
            results.append(written(result["resort_id"], rules.write_result(result)))
            stored = rows[result["reservation_id"]]
            out = rules.settle(result, stored, held_in, held.__setitem__, keep)
        events.append(written(out["customer_id"], rules.write_event(out)))
        key = f"{out['customer_id']}/{out['reservation_id']}"
        page.append(written(key, rules.write_row(out)))
    return Log(
        commands=[written(c["resort_id"], encoder("Reserve")(c)) for c in GIVEN],
        requests=requests,
        results=results,
        events=events,
        availability=[written(k, rules.write_held({"rooms": n})) for k, n in held.items()],
        reservations=[written(k, rules.write_reservation(row)) for k, row in rows.items()],
        mypage=page,
    )


def test_a_right_log_holds() -> None:
    verdict = check(right_log(), GIVEN.count)
    assert verdict.problems == {}
    assert all(verdict.counts[name] for name in ("issued", "sold_out", "declined"))


@pytest.mark.parametrize(
    ("topic", "problem"),
    [
        ("requests", "payments requested twice"),
        ("results", "payments made twice"),
        ("events", "reservations ended twice"),
    ],
)
def test_a_record_that_is_there_twice_is_found(topic: str, problem: str) -> None:
    log = right_log()
    records = getattr(log, topic)
    verdict = check(replace(log, **{topic: [*records, records[0]]}), GIVEN.count)
    assert verdict.problems[problem] == 1


@pytest.mark.parametrize(
    ("topic", "problem"),
    [
        ("commands", "commands missing"),
        ("results", "payments not made"),
        ("events", "reservations without an end"),
        ("reservations", "reservations not stored"),
        ("availability", "nights held by nobody, or not held"),
        ("mypage", "mypage rows unlike the events"),
    ],
)
def test_a_record_that_is_lost_is_found(topic: str, problem: str) -> None:
    log = right_log()
    verdict = check(replace(log, **{topic: getattr(log, topic)[1:]}), GIVEN.count)
    assert verdict.problems[problem] == 1


def test_a_night_beyond_the_capacity_is_found() -> None:
    log = right_log()
    more = [w._replace(value=rules.write_held({"rooms": 21})) for w in log.availability]
    verdict = check(replace(log, availability=more), GIVEN.count)
    assert verdict.problems["nights overbooked"] == len(more)
