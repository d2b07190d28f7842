"""docs/api-performance.md, of one run's figures."""

from typing import Any

from bench.places import ROOT

DOCUMENT = ROOT / "docs" / "api-performance.md"
GOAL = 1.5
KEPT = "<!-- from here on written by hand: make bench-api keeps it -->"

Figures = dict[str, Any]


def write(figures: Figures, results: str) -> str:
    """Write the document; answers its text."""
    plan, machine = figures["plan"], figures["machine"]
    text = f"""# The API's performance

    make bench-api

What it measured on {machine["cores"]} cores ({machine["cpu"]}), {machine["memory_gib"]} GiB, {machine["system"]}, Python {figures["python"]} ({_build(figures)}), everything on the same machine: Kafka, the workers, the sandbox, the API, and the process that asks. The numbers are in [{results}](../bench/results/{results}).

## GET /mypage/{{customer_id}}

One API process, {plan["connections"]} connections of which each asks again once it is answered, beside an aiohttp handler that returns the same bytes as a constant and is served with the same options. {plan["rounds"]} rounds of {plan["read_s"]:.0f} s each, in turns; the median of each figure counts. The goal is at most {GOAL} times the constant's time.

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
    for name, label in (("constant", "a constant"), ("mypage", "GET /mypage")):
        told = reads[name]
        times = f"{told['p50_ms']:.2f} ms | {told['p99_ms']:.2f} ms"
        lines.append(f"| {label} | {told['per_s']:,.0f} | {times} |")
    constant, mypage = reads["constant"], reads["mypage"]
    ratios = (
        constant["per_s"] / mypage["per_s"],
        mypage["p50_ms"] / constant["p50_ms"],
        mypage["p99_ms"] / constant["p99_ms"],
    )
    lines.append("| times the constant's time | " + " | ".join(f"{r:.2f}" for r in ratios) + " |")
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
