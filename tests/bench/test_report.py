"""Results to goals and document."""

from pathlib import Path
from typing import Any

from bench.goals import Standing, standings
from bench.report import BY_HAND, by_hand, document
from bench.results import Results

ABOUT: dict[str, Any] = {
    "scale": 1,
    "started_at": 0,
    "finished_at": 60,
    "machine": {"cpu": "a processor", "cores": 2, "memory_gib": 8.0, "system": "Linux"},
    "versions": {
        "commit": "abc",
        "kafka": "4",
        "jvm": "25",
        "kafka_streams": "4",
        "rocksdb_of_kafka_streams": "10",
        "quix_streams": "3",
        "stock_faust": "0.15",
        "hiresort": {
            "python": "3.11",
            "build": "its own",
            "optimised": False,
            "loop_ms": 30,
            "librdkafka": "2",
            "packages": {},
            "compiled": [],
        },
    },
}


def results(**per_s: list[float]) -> Results:
    """Throughputs of peers, round by round."""
    found = Results(Path("some.json"), {"about": ABOUT, "measurements": {}})
    for peer, rounds in per_s.items():
        for number, value in enumerate(rounds):
            name = peer.replace("_", "-")
            found.measurements[f"T/{name}/{number}"] = {
                "figure": "T",
                "peer": name,
                "what": "200,000",
                "result": {"per_s": value, "cpu_s": 1, "cpu_ms_each": 1, "broker_cpu_ms_each": 1},
            }
    return found


def standing(found: Results, label: str) -> Standing:
    return next(each for each in standings(found) if each.label == label)


def test_medians_are_compared_with_the_goal() -> None:
    found = results(hiresort=[100, 130, 900], kafka_streams=[100, 90, 110])
    throughput = standing(found, "T, one worker")
    assert (throughput.ratio, throughput.met) == ("1.30", True)


def test_a_goal_that_is_not_reached_is_missed() -> None:
    found = results(hiresort=[120], kafka_streams=[100])
    assert standing(found, "T, one worker").met is False


def test_what_was_not_measured_is_neither_reached_nor_missed() -> None:
    found = results(hiresort=[120])
    assert standing(found, "T, one worker").met is None


def test_a_document_of_part_of_the_figures_says_which_failed() -> None:
    found = results(hiresort=[120], kafka_streams=[100])
    found.measurements["R/hiresort/1"] = {
        "figure": "R",
        "peer": "hiresort",
        "what": "400,000",
        "error": "TrialFailed: the time was over",
    }
    assert "Failed: R/hiresort/1" in document(found, "")


def test_what_was_written_by_hand_is_kept() -> None:
    found = results(hiresort=[120])
    first = document(found, "")
    begin, end = BY_HAND
    written = first.split(begin)[0] + f"{begin}\n\nThe disk.\n\n{end}" + first.split(end)[1]
    assert by_hand(document(found, by_hand(written))) == "The disk."
