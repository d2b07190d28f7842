"""Positions, transactions and readers: invariants 14, 15 and 16."""

from collections import Counter
from collections.abc import Iterator

from hiresort.audit.evidence import Evidence, Place
from hiresort.audit.verdict import Verdict
from topics.catalog import DEAD_LETTERS, PAYMENTS_APP, RESERVATIONS_APP, TOPICS

GROUPS = (RESERVATIONS_APP, PAYMENTS_APP)
INPUTS = {group: [topic.name for topic in TOPICS if group in topic.readers] for group in GROUPS}
"""The topics that each app reads, of which it commits offsets."""


def positions(evidence: Evidence) -> Verdict:
    """Each app has read to the end, and nothing was both decided and given up (14)."""
    verdict = Verdict()
    for group, (topic, partition), last in _input_partitions(evidence):
        verdict.checked += 1
        place = Place(topic, partition, last)
        if last >= 0 and evidence.log.unread(group, place):
            position = evidence.log.committed.get(group, {}).get((topic, partition), 0)
            verdict.fail(f"{group} has read {topic}/{partition} up to {position} of {last + 1}")
    _check_dead_letters(evidence, verdict)
    _check_unreadable(evidence, verdict)
    return verdict


def no_open_transaction(evidence: Evidence) -> Verdict:
    """Whatever was written is committed or aborted (15)."""
    verdict = Verdict()
    for (topic, partition), span in evidence.log.spans.items():
        verdict.checked += 1
        if span.stable != span.end:
            verdict.fail(f"{topic}/{partition} is open from {span.stable}, its end is {span.end}")
    return verdict


def one_value(evidence: Evidence) -> Verdict:
    """Two readers saw the same records at the same places (16)."""
    verdict = Verdict()
    first, second = evidence.log.digests
    for partition in sorted(first.keys() | second.keys()):
        verdict.checked += 1
        if first.get(partition) != second.get(partition):
            verdict.fail(f"{partition[0]}/{partition[1]} was read in two ways")
    return verdict


def _input_partitions(evidence: Evidence) -> Iterator[tuple[str, tuple[str, int], int]]:
    for group, names in INPUTS.items():
        for partition, last in evidence.log.last.items():
            if partition[0] in names:
                yield group, partition, last


def _check_dead_letters(evidence: Evidence, verdict: Verdict) -> None:
    for place, letters in Counter(letter.source for letter in evidence.dead_letters).items():
        verdict.checked += 1
        if place in evidence.decided:
            verdict.fail(f"the record at {place} was decided and given up")
        if letters > 1:
            verdict.fail(f"the record at {place} was given up {letters} times")
        if place.offset > evidence.log.last.get((place.topic, place.partition), -1):
            verdict.fail(f"a dead letter comes from {place}, nothing is there")
    if evidence.dead_letters:
        verdict.notes.append(f"{len(evidence.dead_letters)} records are in {DEAD_LETTERS.name}")


def _check_unreadable(evidence: Evidence, verdict: Verdict) -> None:
    """What the codec refuses is given up by each app that reads it, and nothing of ours."""
    for entry in evidence.unreadable:
        verdict.checked += 1
        readers = [group for group, names in INPUTS.items() if entry.place.topic in names]
        waits = any(evidence.log.unread(group, entry.place) for group in readers)
        if not readers:
            verdict.fail(f"the record at {entry.place} can't be read: {entry.value}")
        elif entry.place not in evidence.given_up and not waits:
            verdict.fail(f"the record at {entry.place} was passed over: {entry.value}")
