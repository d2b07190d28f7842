"""T and C: a backlog, from the worker's first record to the last row committed."""

from typing import Any

from bench.reserves import Input
from bench.trial import Trial


def throughput(trial: Trial, size: int) -> dict[str, Any]:
    """Take `size` reservations through. C is all CPU time since the worker was started."""
    trial.load(Input(size))
    noise = trial.noise()
    with trial.watch() as watch:
        noise.start()
        spawned_at = trial.start()
        first_at = trial.mark("FIRST")
        trial.wait(lambda: watch.has(size), f"{size} rows")
        used_s = trial.cpu_s()
        noise.stop(used_s)
        memory = trial.memory()
        seconds = watch.last_at - first_at
    return {
        "per_s": round(size / seconds, 1),
        "seconds": round(seconds, 2),
        "start_s": round(first_at - spawned_at, 2),
        "cpu_s": round(used_s, 2),
        "cpu_ms_each": round(used_s / size * 1000, 4),
        "broker_cpu_ms_each": round(noise.broker_s / size * 1000, 4),
        "others_cores": noise.others_cores,
        "memory_mib": memory.now,
        "memory_peak_mib": memory.peak,
    }
