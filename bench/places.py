"""Where the bench keeps what."""

from pathlib import Path

BENCH = Path(__file__).parent
ROOT = BENCH.parent

WORK = ROOT / ".hiresort/bench"
"""What a run needs and nobody keeps: environments, Kafka's data, state, logs."""
ENVIRONMENTS = WORK / "environments"
KAFKA = WORK / "kafka"
LOGS = WORK / "logs"
PARTIAL = WORK / "results"
"""Results of runs that are not the whole one."""

RESULTS = BENCH / "results"
REPORT = ROOT / "docs/performance.md"
PLOTS = ROOT / "docs/performance"
