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
    verdict = Verdict(checked=sum(1 for _ in _inputs(evidence)))
    for problem in _unread(evidence):
        verdict.fail(problem)
    _check_dead_letters(evidence, verdict)
    _check_unreadable(evidence, verdict)
    return verdict


def no_open_transaction(evidence: Evidence) -> Verdict:
    """Whatever was written is committed or aborted (15)."""
    verdict = Verdict(checked=len(evidence.log.spans))
    for problem in _open(evidence):
        verdict.fail(problem)
    return verdict


def under_way(evidence: Evidence) -> Iterator[str]:
    """What a quiet system would not show: input that is not read, transactions that are open."""
    yield from _unread(evidence)
    yield from _open(evidence)


def one_value(evidence: Evidence) -> Verdict:
    """Two readers saw the same records at the same places (16)."""
    verdict = Verdict()
    first, second = evidence.log.digests
    for partition in sorted(first.keys() | second.keys()):
        verdict.checked += 1
        if first.get(partition) != second.get(partition):
            verdict.fail(f"{partition[0]}/{partition[1]} was read in two ways")
    return verdict


def _inputs(evidence: Evidence) -> Iterator[tuple[str, Place]]:
    """Each group with the last record of each partition that it reads."""
    for group, names in INPUTS.items():
        for (topic, partition), last in evidence.log.last.items():
            if topic in names:
                yield group, Place(topic, partition, last)


def _unread(evidence: Evidence) -> Iterator[str]:
    for group, last in _inputs(evidence):
        if evidence.log.unread(group, last):
            position = evidence.log.committed.get(group, {}).get(last[:2], 0)
            yield f"{group} is at {position} of {last.topic}/{last.partition}, up to {last.offset}"


def _open(evidence: Evidence) -> Iterator[str]:
    for (topic, partition), span in evidence.log.spans.items():
        if span.stable != span.end:
            yield f"{topic}/{partition} is open from {span.stable}, its end is {span.end}"


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
