"""Exactly once, seen from outside: what the topics of the reference work hold is checked.

Every reservation was handled once by each step, mypage is the fold of the events, the tables
agree with the events, and the rooms held are those of the reservations that live.
"""

import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.avro import Value, decoder
from bench.committed import Written
from bench.reserves import CAPACITY

DECLINED_OF = 10
ENDED_AS = {"PENDING": None, "CONFIRMED": "ISSUED", "CANCELLED": "CANCELLED"}


@dataclass(frozen=True)
class Log:
    """The committed records of all topics; the tables' by their changelogs.

    Keys of the tables: `<resort>/<room type>/<day>`, `<reservation>`, `<customer>/<reservation>`.
    """

    commands: Sequence[Written]
    requests: Sequence[Written]
    results: Sequence[Written]
    events: Sequence[Written]
    availability: Sequence[Written]
    reservations: Sequence[Written]
    mypage: Sequence[Written]


@dataclass
class Verdict:
    """What was found; it holds when `problems` is empty."""

    counts: dict[str, int] = field(default_factory=dict)
    problems: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def want(self, holds: bool, problem: str, example: object = "") -> None:  # noqa: FBT001  # reads as a sentence
        """Note a problem unless it `holds`, with the first example of its kind."""
        if not holds:
            self.problems[problem] += 1
            self.examples.setdefault(problem, str(example)[:300])


def check(log: Log, expected: int) -> Verdict:
    """Check a log that `expected` commands have gone through to the end."""
    return _Check(log, expected).run()


class _Check:
    def __init__(self, log: Log, expected: int) -> None:
        self._log, self._expected = log, expected
        self._verdict = Verdict()
        self._want = self._verdict.want
        self._commands = {c["reservation_id"]: c for c in _values("Reserve", log.commands)}
        self._results: dict[str, str] = {}
        self._fold: dict[str, Value] = {}

    def run(self) -> Verdict:
        """Check everything."""
        self._want(len(self._commands) == self._expected, "commands missing")
        self._check_payments()
        issued = self._check_events()
        page = self._table("mypage", "Row", self._log.mypage)
        for key in page.keys() | self._fold.keys():
            self._want(page.get(key) == self._fold.get(key), "mypage rows unlike the events", key)
        reservations = self._table("reservations", "Reservation", self._log.reservations)
        self._check_reservations(reservations)
        self._check_held(reservations.values())
        reasons = Counter(event["reason"] for event in self._fold.values())
        self._verdict.counts = {
            "commands": len(self._commands),
            "issued": issued,
            "sold_out": reasons["SOLD_OUT"],
            "declined": reasons["DECLINED"],
            "mypage_rows": len(page),
        }
        return self._verdict

    def _check_payments(self) -> None:
        requested = Counter(
            request["reservation_id"] for request in _values("PaymentRequest", self._log.requests)
        )
        for key, times in requested.items():
            self._want(times == 1, "payments requested twice", key)
        for result in _values("PaymentResult", self._log.results):
            key = result["reservation_id"]
            self._want(key not in self._results, "payments made twice", key)
            self._results[key] = result["status"]
            declined = zlib.crc32(key.encode()) % DECLINED_OF == 0
            right = {
                "status": "DECLINED" if declined else "APPROVED",
                "payment_id": f"p-{key}",
                "amount": self._commands.get(key, {}).get("price"),
            }
            self._want(right.items() <= result.items(), "payments unlike their rule", result)
        for key in requested.keys() - self._results.keys():
            self._want(False, "payments not made", key)  # noqa: FBT003  # the loop says it

    def _check_events(self) -> int:
        """Answers how many tickets there are."""
        ended, issued = Counter[str](), Counter[str]()
        for event in _values("ReservationEvent", self._log.events):
            key = event["reservation_id"]
            ended[key] += 1
            issued[key] += event["kind"] == "ISSUED"
            self._fold[f"{event['customer_id']}/{key}"] = event
            self._want(self._is_right(event), "events unlike their command", event)
        for key, command in self._commands.items():
            self._want(issued[key] <= 1, "tickets issued twice", key)
            self._want(ended[key] <= 1, "reservations ended twice", key)
            self._want(ended[key] >= 1, "reservations without an end", command)
        return issued.total()

    def _is_right(self, event: Value) -> bool:
        key = event["reservation_id"]
        command = self._commands.get(key)
        if command is None:
            return False
        paid = self._results.get(key)
        outcome = (event["kind"], event["reason"], event["ticket"], paid)
        carried = ("customer_id", "resort_id", "room_type", "check_in", "nights", "at")
        return (
            outcome
            in (
                ("ISSUED", "", f"t-{key}", "APPROVED"),
                ("CANCELLED", "DECLINED", "", "DECLINED"),
                ("CANCELLED", "SOLD_OUT", "", None),
            )
            and all(event[name] == command[name] for name in carried)
            and event["amount"] == command["price"]
        )

    def _check_reservations(self, rows: Mapping[str, Value]) -> None:
        for key in self._commands.keys() - rows.keys():
            self._want(False, "reservations not stored", key)  # noqa: FBT003  # as above
        for key, row in rows.items():
            status = row["status"]
            command = self._commands.get(key, {})
            self._want(row == {**command, "status": status}, "rows unlike their command", row)
            event = self._fold.get(f"{row['customer_id']}/{key}", {})
            self._want(
                ENDED_AS[status] == event.get("kind"), "reservations unlike their event", row
            )
            self._want(status != "PENDING", "reservations still pending", key)

    def _check_held(self, reservations: Any) -> None:
        live = Counter[str]()
        for row in reservations:
            if row["status"] != "CANCELLED":
                for day in range(row["check_in"], row["check_in"] + row["nights"]):
                    live[f"{row['resort_id']}/{row['room_type']}/{day}"] += row["rooms"]
        held = {
            key: row["rooms"]
            for key, row in self._table("availability", "Held", self._log.availability).items()
        }
        for key in held.keys() | live.keys():
            self._want(held.get(key, 0) == live[key], "nights held by nobody, or not held", key)
        for key, rooms in held.items():
            self._want(0 <= rooms <= CAPACITY, "nights overbooked", f"{key}: {rooms}")

    def _table(self, name: str, record: str, changes: Sequence[Written]) -> dict[str, Value]:
        """The rows that a changelog leads to."""
        rows: dict[str, bytes] = {}
        homes: dict[str, int] = {}
        for change in changes:
            key = change.key.decode()
            home = homes.setdefault(key, change.partition)
            self._want(home == change.partition, f"{name} rows in two partitions", key)
            if change.value is None:
                rows.pop(key, None)
            else:
                rows[key] = change.value
        decode: Callable[[bytes], Value] = decoder(record)
        return {key: decode(value) for key, value in rows.items()}


def _values(record: str, written: Sequence[Written]) -> list[Value]:
    decode = decoder(record)
    return [decode(each.value) for each in written if each.value is not None]
