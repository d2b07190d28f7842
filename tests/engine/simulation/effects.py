"""What has to be so of what applications have done: each record once, and in order."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from faust.types.tuples import TP

from streams.engine.memory import MemoryRecord

from .books import fold, same
from .world import APP, World

FAILING = ("bad", "garbage")

Sent = list[dict[str, Any]]


def check_effects(world: World) -> None:
    """Raise AssertionError unless every record has had its effects once."""
    if world.plan.app == "shop":
        _Shop(world).check()
    else:
        _Bare(world).check()


def _ids(sent: Iterable[dict[str, Any]]) -> Counter[str]:
    return Counter(what["id"] for what in sent)


class _Effects:
    """What was sent from outside, and what came of it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sent: dict[str, Sent] = defaultdict(list)
        for what in world.sent:
            self._sent[what["topic"]].append(what)

    def _good(self, topic: str) -> Sent:
        return [what for what in self._sent[topic] if what["act"] not in FAILING]

    def _bad(self, *topics: str) -> Counter[tuple[str, str]]:
        """The dead letters of what fails in these topics."""
        return Counter(
            (topic, what["id"])
            for topic in topics
            for what in self._sent[topic]
            if what["act"] in FAILING
        )

    def _records(self, topic: str) -> list[tuple[MemoryRecord, Any]]:
        """Committed records of a topic that can be read, with their values."""
        return [
            (record, json.loads(record.value() or b"null"))
            for record in self._world.cluster.committed_of(topic)
            if (record.value() or b"}").endswith(b"}")
        ]

    def _values(self, topic: str) -> list[Any]:
        return [value for _, value in self._records(topic)]

    def _dead(self) -> Counter[tuple[str, str]]:
        """Topic and id of each dead letter, which has to name where its record stands."""
        found: Counter[tuple[str, str]] = Counter()
        for letter in self._world.cluster.committed_of(f"{APP}-dead-letters"):
            told = {name: (value or b"").decode() for name, value in letter.headers() or ()}
            value = letter.value() or b""
            readable = value.endswith(b"}")
            found[told["topic"], json.loads(value)["id"] if readable else value[1:].decode()] += 1
            history = self._world.cluster.history[TP(told["topic"], int(told["partition"]))]
            record = history.get(int(told["offset"]))
            if record is None or record.state != "committed" or record.value() != value:
                raise AssertionError(f"the dead letter {value!r} names {told}: there is {record}")
        return found


class _Shop(_Effects):
    def check(self) -> None:
        """All of it."""
        orders, pays = self._good("orders"), self._good("pays")
        direct, spoilt = self._sent["moved"], self._spoilt()
        moved = _ids(orders) + _ids(pays) + _ids(direct)
        same("moved", _ids(self._values("moved")), moved)
        out = moved + _ids(w for w in self._sent["out"] if w["act"] != "garbage")
        same("out", _ids(self._values("out")), out)
        gathered = out - spoilt - _ids(w for w in self._sent["out"] if w["act"] == "bad")
        lists = [value["ids"] for value in self._values("gathered")]
        same("gathered", Counter(id_ for ids in lists for id_ in ids), gathered)
        fired = _ids(w for w in orders if "due" in w)
        same("fired", _ids(self._values("fired")), fired)
        self._check_dead()
        audited = moved - _ids(w for w in direct if w["act"] == "bad")
        for table, wanted in (("audits", audited), ("gathers", gathered), ("firings", fired)):
            same(table, Counter(self._rows(table)), wanted)
        self._check_accounts(orders, pays)
        self._check_order(orders)
        self._check_told(audited)

    def _spoilt(self) -> Counter[str]:
        return _ids(what for what in self._sent["moved"] if what["act"] == "spoilt")

    def _rows(self, table: str) -> dict[str, Any]:
        return {
            key.decode(): json.loads(row)
            for number in range(self._world.plan.partitions)
            for key, row in fold(self._world, TP(f"{APP}-{table}-changelog", number)).items()
        }

    def _check_dead(self) -> None:
        dead = self._dead()
        # what is garbage in a followed topic is one only where it was not passed in a restore
        followed = Counter({key: 1 for key in dead if key[0] == "prices"})
        wanted = self._bad("orders", "pays", "moved", "out") + followed
        same("dead letters", dead, wanted + Counter(("out", id_) for id_ in self._spoilt()))

    def _check_accounts(self, orders: Sent, pays: Sent) -> None:
        accounts = self._rows("accounts")
        ns = {key: account["n"] for key, account in accounts.items() if account["n"]}
        paid = {key: account["paid"] for key, account in accounts.items() if account["paid"]}
        same("accepted", Counter(ns), Counter(what["key"] for what in orders))
        same("paid", Counter(paid), Counter(what["key"] for what in pays))
        limits = {record.key(): value["n"] for record, value in self._records("limits")}
        same("limits", limits, {key.encode(): n for key, n in ns.items()})

    def _check_order(self, orders: Sent) -> None:
        sent: dict[str, list[str]] = defaultdict(list)
        for what in orders:
            sent[what["key"]].append(what["id"])
        accepted: dict[str, dict[int, str]] = defaultdict(dict)
        limits: dict[str, dict[int, int]] = defaultdict(dict)
        for value in self._values("moved"):
            if "of" in value:
                accepted[value["of"]][value["n"]] = value["id"]
            elif "by" in value:
                limits[value["by"]][value["paid"]] = value["limit"]
        for key, ids in sent.items():
            same(f"orders of {key}", dict(accepted[key]), dict(enumerate(ids, 1)))
        for key, seen in limits.items():
            in_order = [seen[n] for n in sorted(seen)]
            same(f"limits that payments of {key} saw", in_order, sorted(in_order))
        spread: dict[bytes | None, list[int]] = defaultdict(list)
        for record, value in self._records("out"):
            if "n" in value:
                spread[record.key()].append(value["n"])
        for raw, ns in spread.items():
            same(f"out of {raw!r}", ns, list(range(1, len(ns) + 1)))

    def _check_told(self, audited: Counter[str]) -> None:
        told = Counter(key for _, key, _ in self._world.told)
        same("told, and not committed, or told twice", told - audited, Counter())
        if not any(
            step.do in ("kill", "fault", "expire", "slow", "usurp")
            for step in self._world.plan.steps
        ):
            same("told", told, audited)


class _Bare(_Effects):
    def check(self) -> None:
        """All of it."""
        flow: Counter[str] = Counter()
        for topic in ("first", "second", "third"):
            direct = _ids(what for what in self._sent[topic] if what["act"] != "garbage")
            same(topic, _ids(self._values(topic)), flow + direct)
            flow += _ids(self._good(topic))
        same("last", _ids(self._values("last")), flow)
        same("dead letters", self._dead(), self._bad("first", "second", "third"))
        sent, found = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
        for what in self._good("first"):
            sent[what["key"]].append(what["id"])
        for record, value in self._records("last"):
            if value["id"].startswith("f"):
                found[(record.key() or b"").decode()].append(value["id"])
        same("order", dict(found), dict(sent))
