"""What happens in one run, drawn from a seed; as JSON it can be kept, cut down and run again."""

import json
import random
from dataclasses import asdict, dataclass, field
from typing import Any, Self

WORKERS = ("a", "b", "c")
KEYS = tuple(f"k{n}" for n in range(6))

INPUTS = {
    "shop": ("orders", "orders", "pays", "moved", "out", "prices"),
    "bare": ("first", "first", "second", "third"),
}
"""Where records come from outside, by application; a topic's share is how often it is named."""

SOURCES = {"shop": ("orders", "pays", "prices"), "bare": ("first",)}
"""Those that the application does not write to itself."""

ACTS = {
    "orders": ("ok", "ok", "ok", "slow", "bad", "flaky", "stubborn", "garbage"),
    "pays": ("ok", "ok", "slow", "bad", "flaky", "stubborn"),
    "moved": ("ok", "ok", "bad", "spoilt"),
    "out": ("ok", "ok", "bad", "garbage"),
    "prices": ("ok", "ok", "ok", "delete", "garbage"),
    "first": ("ok", "ok", "slow", "bad", "flaky", "stubborn", "garbage"),
    "second": ("ok", "slow", "bad", "flaky"),
    "third": ("ok", "ok", "slow"),
}

FAULTS = ("abort", "abort", "overtaken", "timeout", "before", "during", "after", "unknown")

SIZES = {
    "lanes.STEP_RECORDS": (1000, 2, 3, 5),
    "lanes.STEP_S": (0.05, 0.0, 0.01),
    "lanes.QUEUE_BYTES": (1 << 20, 0, 100),
    "unit.BATCH_BYTES": (4 << 20, 0, 200, 500),
    "unit.UNIT_BYTES": (16 << 20, 300, 2000),
    "unit.UNIT_RECORDS": (40_000, 1, 5, 20),
    "shard.CACHE_BYTES": (512 << 10, 0, 200),
}
"""Bounds of the engine, and what they may be in a run; the first, its own, more often."""


@dataclass
class Step:
    """Something that is done from outside, so many ms after the run began."""

    at_ms: int
    do: str
    what: dict[str, Any] = field(default_factory=dict)


@dataclass
class Plan:
    """All that a run depends on, but for hashes: PYTHONHASHSEED has to be the same too."""

    seed: int
    app: str = "shop"
    cut_through: bool = False
    partitions: int = 2
    eager: bool = False
    poll_max: int | None = None
    lazy: float = 0.2
    """How often threads begin late, or wait in the middle."""
    slow: float = 0.2
    """How often an agent awaits where it need not."""
    rocksdb: bool = False
    standbys: int = 0
    sizes: dict[str, float] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)

    def dumps(self) -> str:
        """As JSON, a line for each step."""
        fields = asdict(self)
        steps = fields.pop("steps")
        head = json.dumps(fields)[:-1]
        return head + ', "steps": [\n' + ",\n".join(json.dumps(step) for step in steps) + "\n]}"

    @classmethod
    def loads(cls, text: str) -> Self:
        """A plan that `dumps` has made."""
        fields = json.loads(text)
        return cls(**fields | {"steps": [Step(**step) for step in fields["steps"]]})

    @classmethod
    def drawn(cls, seed: int, *, cut_through: bool, app: str | None = None) -> Self:
        """The plan of a seed."""
        drawn = random.Random(f"{seed} {cut_through} {app}")  # noqa: S311  # nothing secret
        plan = cls(
            seed,
            app or drawn.choice(("shop", "shop", "shop", "bare")),
            cut_through,
            drawn.choice((1, 2, 2, 3)),
            drawn.random() < 0.3,
            drawn.choice((None, None, 1, 3)),
            drawn.choice((0.0, 0.1, 0.3, 0.6)),
            drawn.choice((0.0, 0.1, 0.4)),
            sizes={
                name: drawn.choice(values) for name, values in SIZES.items() if drawn.random() < 0.4
            },
        )
        plan.standbys = drawn.choice((0, 1))
        plan.steps = _Drawing(plan, drawn).steps()
        return plan


class _Drawing:
    """The steps of a plan."""

    def __init__(self, plan: Plan, drawn: random.Random) -> None:
        self._plan, self._drawn = plan, drawn
        self._ids = 0
        self._at_ms = 0
        alone = drawn.random() < 0.15
        self._trouble = 0.0 if alone else drawn.choice((0.0, 0.02, 0.08, 0.2))
        self._topics = (SOURCES if alone else INPUTS)[plan.app]

    def steps(self) -> list[Step]:
        """Records mostly, and trouble in between."""
        drawn = self._drawn
        steps = [Step(0, "join", {"worker": "a"})]
        mean_ms = drawn.choice((2, 10, 40))
        for _ in range(drawn.choice((10, 40, 80))):
            self._at_ms += int(drawn.expovariate(1 / mean_ms))
            if drawn.random() < self._trouble:
                steps.append(self._troubled())
            else:
                steps += [self._send() for _ in range(drawn.choice((1, 1, 1, 5)))]
        return steps

    def _send(self) -> Step:
        drawn = self._drawn
        topic = drawn.choice(self._topics)
        self._ids += 1
        what: dict[str, Any] = {
            "topic": topic,
            "key": drawn.choice(KEYS),
            "to": drawn.choice(KEYS),
            "id": f"{topic[0]}{self._ids}",
            "act": drawn.choice(ACTS[topic]) if drawn.random() < 0.5 else "ok",
        }
        if topic == "orders" and drawn.random() < 0.3:
            what["due"] = drawn.choice((0, 50, 400))
        return Step(self._at_ms, "send", what)

    def _troubled(self) -> Step:
        drawn = self._drawn
        worker = {"worker": drawn.choice(WORKERS)}
        do = drawn.choice(
            (
                *("join", "join", "leave", "kill", "fault", "fault", "fault"),
                *("rebalance", "rebalance", "expire", "stall", "compact", "slow"),
                *("usurp", "outage"),
            )
        )
        whats: dict[str, dict[str, Any]] = {
            "join": worker,
            "leave": worker,
            "expire": worker,
            "usurp": worker,
            "outage": {"ms": drawn.choice((50, 500, 3000))},
            "kill": worker
            | {
                "disk": drawn.choice(("kept", "kept", "unsynced", "unsynced", "wiped")),
                "back_ms": drawn.choice((0, 50, 500)),
            },
            "stall": worker | {"ms": drawn.choice((20, 200))},
            "fault": {"fault": drawn.choice(FAULTS)},
            "rebalance": {
                "away": drawn.choice(([], [], [0], [1], [0, 1])),
                "topics": drawn.choice((0, 0, 1, 2)),
            },
            "compact": {},
            "slow": {"ms": drawn.choice((20, 200)), "expire": drawn.random() < 0.7},
        }
        return Step(self._at_ms, do, whats[do])
