"""L: from the moment a command is written to its row, committed, at a reader."""

import time
from dataclasses import dataclass
from typing import Any

from bench.reserves import Input, pace, row_key
from bench.trial import Trial

LATE_S = 0.1
"""A command that goes out so much later than it should."""

QUANTILES = (
    *(percent / 100 for percent in range(0, 99, 2)),
    *(0.98 + permille / 1000 for permille in range(0, 20, 2)),
    0.999,
    1.0,
)


@dataclass(frozen=True)
class Flow:
    """Reservations a second; seconds that are measured, after those that warm up."""

    rate: int
    seconds: float
    warm_s: float


def latency(trial: Trial, flow: Flow) -> dict[str, Any]:
    """Send commands evenly and time each."""
    sent: dict[bytes, float] = {}
    seen: dict[bytes, float] = {}
    count = int(flow.rate * (flow.seconds + flow.warm_s))
    with trial.watch(seen.__setitem__) as watch:
        trial.start()
        trial.mark("RUNNING")
        late, start, warm = 0, time.time(), int(flow.rate * flow.warm_s)
        before_s, noise = 0.0, trial.noise()
        for number, command in enumerate(
            pace(trial.broker.bootstrap, trial.prefix, Input(count), flow.rate)
        ):
            if number == warm:
                before_s = trial.cpu_s()
                noise.start()
            now = sent[row_key(command)] = time.time()
            late += now - start - number / flow.rate > LATE_S
        used_s = trial.cpu_s() - before_s
        noise.stop(used_s)
        trial.wait(lambda: watch.has(count), f"{count} rows")
    measured = sorted(seen[key] - at for key, at in list(sent.items())[warm:])
    return {
        **{f"p{p}_ms": _ms(measured, p / 100) for p in (50, 90, 99)},
        "max_ms": _ms(measured, 1),
        "measured": len(measured),
        "sent_late": late,
        "cpu_ms_each": round(used_s / (count - warm) * 1000, 4),
        "others_cores": noise.others_cores,
        "memory_peak_mib": trial.memory().peak,
        "quantiles_ms": [[round(q, 3), _ms(measured, q)] for q in QUANTILES],
    }


def _ms(ordered: list[float], quantile: float) -> float:
    place = min(len(ordered) - 1, int(quantile * len(ordered)))
    return round(ordered[place] * 1000, 1)
