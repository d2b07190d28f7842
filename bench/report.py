"""docs/performance.md and its plots, from a file of results."""

import json
import time
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

import click

from bench.building import environment, run
from bench.goals import long_run_cpu, shown, standings, verdict
from bench.places import BENCH, PLOTS, REPORT, ROOT, WORK
from bench.results import Results
from bench.series import LABELS, series

MARKS = {True: "reached", False: "**missed**", None: "not measured"}

BY_HAND = ("<!-- written by hand: make bench-report keeps it -->", "<!-- up to here -->")
STREAMS_SETTINGS = (
    "exactly_once_v2, commit interval 100 ms (10 ms for L), static membership, 512 MiB of heap, no"
    " record cache, one block cache of 256 MiB with bloom filters:"
    " [Main.java](../bench/kafka_streams/src/main/java/bench/Main.java)"
)
NOTHING = "Nothing has been written here yet."


def write_report(results: Results) -> None:
    """Write the document and its plots."""
    before = REPORT.read_text() if REPORT.exists() else ""
    REPORT.write_text(document(results, by_hand(before)))
    drawn = WORK / "series.json"
    drawn.write_text(json.dumps(series(results)))
    python = environment("plots", BENCH / "requirements.txt")
    run((str(python), str(BENCH / "plots.py"), str(drawn), str(PLOTS)), "plots")
    click.echo(f"{REPORT.relative_to(ROOT)} and {PLOTS.relative_to(ROOT)}/ are written")


def by_hand(text: str) -> str:
    """The part of a document that is kept."""
    begin, end = BY_HAND
    if begin not in text or end not in text:
        return NOTHING
    return text.split(begin, 1)[1].split(end, 1)[0].strip()


def document(results: Results, kept: str) -> str:
    """The whole document; `kept`: what was written by hand."""
    begin, end = BY_HAND
    parts = [
        "# Performance",
        _introduction(results),
        "## Against the goals",
        goals_table(results),
        "## Where a figure isn't reached",
        f"{begin}\n\n{kept}\n\n{end}",
        *_throughput(results),
        *_cpu(results),
        *_latency(results),
        *_recovery(results),
        *_memory(results),
        *_exactly_once(results),
        *_conditions(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _introduction(results: Results) -> str:
    about = results.about
    day = time.strftime("%Y-%m-%d", time.gmtime(about.get("started_at", 0)))
    machine = about["machine"]
    taken = sum(each.get("seconds_taken", 0) for each in results.measurements.values()) / 60
    return (
        f"What `make bench` measured on {day}, all peers in one run of {taken:.0f} minutes:"
        f" {machine['cores']} cores ({machine['cpu']}), {machine['memory_gib']:.0f} GiB,"
        " everything on the same machine: Kafka, the workers, the generator and the reader that"
        " stops the clock. Absolute figures move with the machine and the hour; compare within"
        " this document. [bench/README.md](../bench/README.md) tells what the reference work is"
        f" and how each figure is taken; the numbers are in [{results.file.name}]"
        f"(../bench/results/{results.file.name}).\n\n"
        "Of several rounds the median counts; in parentheses the lowest and the highest. Rounds"
        " of the peers alternate."
    )


def goals_table(results: Results) -> str:
    """Every goal, with where the run stands."""
    return _table(
        ("figure", "hiresort", "peer", "ratio", "goal", ""),
        [(s.label, s.ours, s.theirs, s.ratio, s.wanted, MARKS[s.met]) for s in standings(results)],
    )


def _throughput(results: Results) -> list[str]:
    rows = [
        (figure, LABELS[peer], _given(results, name, peer), _spread(results, name, peer, "per_s"))
        for name, figure in (("T", "one worker"), ("T2", "two workers, or threads"))
        for peer in LABELS
        if results.of(name, peer)
    ]
    table = _table(("", "", "reservations", "reservations/s"), rows)
    return ["## T: throughput", _plot("throughput", "Reservations a second"), table]


def _cpu(results: Results) -> list[str]:
    rows = [
        (
            LABELS[peer],
            _spread(results, "T", peer, "cpu_ms_each"),
            shown(long_run_cpu(results, peer), "ms"),
            _spread(results, "T", peer, "broker_cpu_ms_each"),
        )
        for peer in LABELS
        if results.of("T", peer)
    ]
    names = ("", "worker, ms a reservation", "in the long run", "Kafka, ms a reservation")
    return ["## C: CPU", _plot("cpu", "CPU of a reservation"), _table(names, rows)]


def _latency(results: Results) -> list[str]:
    rows = [
        (
            rate,
            LABELS[peer],
            *(_spread(results, name, peer, field) for field in ("p50_ms", "p99_ms", "max_ms")),
            _spread(results, name, peer, "cpu_ms_each"),
        )
        for name, rate in (("L", "500/s"), ("L2000", "2,000/s"))
        for peer in LABELS
        if results.of(name, peer)
    ]
    names = ("", "", "p50 ms", "p99 ms", "highest ms", "CPU ms a reservation")
    return ["## L: latency", _plot("latency", "Latency by quantile"), _table(names, rows)]


def _recovery(results: Results) -> list[str]:
    rows = []
    for peer, label in LABELS.items():
        found = results.of("R", peer)
        if found:
            restarts = [s for each in found for s in each["restarts_s"]]
            changes = f"{median(each['restore_changes'] for each in found):,.0f}"
            restore = _spread(results, "R", peer, "restore_s")
            cpu = _spread(results, "R", peer, "restore_cpu_s")
            rows.append((label, _range(restarts), restore, changes, cpu))
    names = ("", "after kill -9, s", "from nothing, s", "changelog offsets", "CPU s")
    plot = _plot("recovery", "Seconds to the first new row")
    return ["## R: restart and restore", plot, _table(names, rows)]


def _memory(results: Results) -> list[str]:
    fields = ("tenth_mib", "tenth_peak_mib", "full_mib", "full_peak_mib", "seconds")
    rows = [
        (
            LABELS[peer],
            _spread(results, "C", peer, "memory_peak_mib"),
            *(_spread(results, "M", peer, field) for field in fields),
        )
        for peer in LABELS
        if results.of("M", peer) or results.of("C", peer)
    ]
    names = ("MiB", "whole work, peak", "1 M rows", "peak", "10 M rows", "peak", "seconds")
    return ["## Memory", _plot("memory", "Resident memory by rows"), _table(names, rows)]


def _exactly_once(results: Results) -> list[str]:
    rows = [
        (LABELS[peer], each["what"], str(each["result"]["kills"]), verdict([each["result"]]))
        for peer in LABELS
        for each in results.made("O", peer)
    ]
    table = _table(("", "reservations", "kills -9", "checker"), rows)
    broken = [
        f"- {LABELS[peer]}: " + ", ".join(f"{n:,} {what}" for what, n in each["problems"].items())
        for peer in LABELS
        for each in results.of("O", peer)
        if each["problems"]
    ]
    return ["## Exactly once", table, "\n".join(broken)]


def _conditions(results: Results) -> list[str]:
    about = results.about
    found, machine = about["versions"], about["machine"]
    facts = {
        "Machine": f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gib']} GiB,"
        f" {machine['system']}",
        "hiresort": f"commit {found['commit']}, {_python(found['hiresort'])}",
        "Kafka": f"{found['kafka']}, one node, 512 MiB of heap, 4 partitions a topic",
        "Kafka Streams": f"{found['kafka_streams']}, its RocksDB"
        f" {found['rocksdb_of_kafka_streams']}; {STREAMS_SETTINGS}",
        "JVM": f"{found['jvm']}, Kafka's and Kafka Streams'",
        "Quix Streams": f"{found['quix_streams']}, on the same Python",
        "stock Faust": f"{found['stock_faust']}, on the same Python",
        "Options of our broker's URL": about.get("broker_options") or "none",
        "Others on the machine": f"{_others(results)} of a core, at the median",
    }
    if about["scale"] != 1:
        facts["Scale"] = f"**everything {about['scale']:g} times as large as it should be**"
    facts |= {f"Left out: {peer}": why for peer, why in about.get("left_out", {}).items()}
    facts |= {f"Failed: {key}": why.splitlines()[0] for key, why in results.errors()}
    return ["## Machine, versions, settings", _table(("", ""), facts.items())]


def _python(found: dict[str, Any]) -> str:
    packages = ", ".join(f"{name} {v}" for name, v in found["packages"].items() if v)
    compiled = ", ".join(found["compiled"]) or "none"
    kind = "optimised" if found["optimised"] else "not optimised"
    return (
        f"Python {found['python']} ({found['build']} build, {kind}: a loop of a million turns takes"
        f" {found['loop_ms']} ms), librdkafka {found['librdkafka']}, {packages};"
        f" compiled modules of schemas/: {compiled}"
    )


def _others(results: Results) -> str:
    found = [
        each["result"]["others_cores"]
        for each in results.measurements.values()
        if "others_cores" in each.get("result", {})
    ]
    return f"{median(found):.2f}" if found else "?"


def _given(results: Results, figure: str, peer: str) -> str:
    return ", ".join(sorted({each["what"] for each in results.made(figure, peer)}))


def _spread(results: Results, figure: str, peer: str, field: str) -> str:
    return _range(results.values(figure, peer, field))


def _range(found: Sequence[float]) -> str:
    if not found:
        return ""
    middle = shown(median(found), "").strip()
    if len(found) == 1:
        return middle
    low, high = (shown(value, "").strip() for value in (min(found), max(found)))
    return f"{middle} ({low}-{high})"


def _plot(name: str, title: str) -> str:
    return f"![{title}](performance/{name}.svg)"


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)
