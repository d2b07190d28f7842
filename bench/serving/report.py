"""docs/api-performance.md, of one run's figures."""

from typing import Any

from bench.places import ROOT

DOCUMENT = ROOT / "docs" / "api-performance.md"
GOAL = 1.5
KEPT = "<!-- from here on written by hand: make bench-api keeps it -->"

READS = {
    "constant": "a constant",
    "mypage": "GET /mypage, as it was asked for before",
    "mypage_anew": "GET /mypage, each page written anew",
}

Figures = dict[str, Any]


def write(figures: Figures, results: str) -> str:
    """Write the document; answers its text."""
    plan, machine = figures["plan"], figures["machine"]
    text = f"""# The API's performance

    make bench-api

What it measured on {machine["cores"]} cores ({machine["cpu"]}), {machine["memory_gib"]} GiB, {machine["system"]}, Python {figures["python"]} ({_build(figures)}), everything on the same machine: Kafka, the workers, the sandbox, the API, and the process that asks. The numbers are in [{results}](../bench/results/{results}).

## GET /mypage/{{customer_id}}

One API process, {plan["connections"]} connections of which each asks again once it is answered, beside an aiohttp handler that returns the same bytes as a constant and is served with the same options and event loop. A page whose rows have not changed since it was last asked for is not written again; for the last rows each request calls the server by another name, which is in all links, so that each page is. {plan["rounds"]} rounds of {plan["read_s"]:.0f} s each, in turns; the median of each figure counts. The goal is at most {GOAL} times the constant's time.

{_reads(figures["reads"])}

While the workers work at full speed on a replay, on the same cores:

{_reads(figures["reads_busy"])}

## POST /reservations, to the 201

End to end: the command to Kafka, the decision, the charge at the sandbox, its outcome, the ticket, the row of mypage. At a rate, the time counts from the instant at which a request was due; users reserve again once they are answered. {plan["post_s"]:.0f} s each.

{_posts(figures["posts"])}
"""  # noqa: E501
    before = DOCUMENT.read_text() if DOCUMENT.exists() else ""
    _, mark, by_hand = before.partition(KEPT)
    DOCUMENT.write_text(text + (f"\n{mark}{by_hand}" if mark else ""))
    return text


def _build(figures: Figures) -> str:
    return "an optimised build" if figures["optimised"] else "a build without optimisations"


def _reads(reads: Figures) -> str:
    lines = ["| | requests/s | p50 | p99 |", "| --- | ---: | ---: | ---: |"]
    constant = reads["constant"]
    for name, label in READS.items():
        told = reads[name]
        times = f"{told['p50_ms']:.2f} ms | {told['p99_ms']:.2f} ms"
        lines.append(f"| {label} | {told['per_s']:,.0f} | {times} |")
        if told is not constant:
            ratios = (
                constant["per_s"] / told["per_s"],
                told["p50_ms"] / constant["p50_ms"],
                told["p99_ms"] / constant["p99_ms"],
            )
            told_so = " | ".join(f"{ratio:.2f}" for ratio in ratios)
            lines.append(f"| times the constant's time | {told_so} |")
    return "\n".join(lines)


def _posts(posts: Figures) -> str:
    lines = [
        "| | 201 | others | a second | p50 | p99 |",
        "| --- | ---: | --- | ---: | ---: | ---: |",
    ]
    for name, told in posts.items():
        others = ", ".join(f"{count} {status}" for status, count in told["others"].items()) or "0"
        lines.append(
            f"| {name} | {told['confirmed']:,} | {others} | {told['per_s']:,.1f} "
            f"| {told['p50_ms']:.0f} ms | {told['p99_ms']:.0f} ms |"
        )
    return "\n".join(lines)
