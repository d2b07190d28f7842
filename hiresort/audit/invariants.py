"""The invariants by number: the sentence, and the function that checks it."""

from collections.abc import Callable
from dataclasses import dataclass

from hiresort.audit import commands, decisions, keys, log, money, reservations, views
from hiresort.audit.evidence import Evidence
from hiresort.audit.verdict import Verdict


@dataclass(frozen=True)
class Invariant:
    """`check` is None where topics can't tell; `unchecked` says what they can't tell, and why."""

    number: int
    sentence: str
    check: Callable[[Evidence], Verdict] | None
    unchecked: str | None = None


INVARIANTS = (
    Invariant(
        1,
        "No loss: every command is decided once, given up as a dead letter, or has no effect.",
        commands.no_loss,
        "which commands a client saw accepted is known to the client",
    ),
    Invariant(
        2,
        "No aborted read: nothing that failed for every client is in the events or in mypage.",
        None,
        "what a client saw fail is known to the client",
    ),
    Invariant(
        3,
        "One outcome: a reservation is confirmed, rejected, expired or cancelled before that.",
        reservations.one_outcome,
    ),
    Invariant(
        4,
        "At most one cancellation after a confirmation, in the same partition and after it.",
        reservations.one_cancellation,
    ),
    Invariant(
        5,
        "No double charge: at most one capture and one refund, of the same amount.",
        money.no_double_charge,
    ),
    Invariant(
        6,
        "Conservation: captures less refunds are the prices of what is confirmed, by currency.",
        money.conservation,
    ),
    Invariant(
        7,
        "Confirmed with a price implies its capture; rejected or expired implies none kept.",
        money.paid_for,
    ),
    Invariant(
        8,
        "No orphan: every event and payment result has its cause, which came before it.",
        commands.no_orphan,
    ),
    Invariant(
        9,
        "No overbooking: decisions have no gaps, and no hold goes beyond the capacity in force.",
        decisions.no_overbooking,
    ),
    Invariant(
        10,
        "View = fold: mypage and the other tables are what the events make of them.",
        views.views,
        "workers' own RocksDB is not in the topics",
    ),
    Invariant(
        11,
        "Every prefix: deciding the causes again, in order, gives every event.",
        decisions.every_prefix,
    ),
    Invariant(
        12,
        "Legal transitions only; a reservation's version goes up by one, without gaps.",
        reservations.legal_transitions,
    ),
    Invariant(
        13,
        "Same customer and idempotency key: one id; another body under it has no effect.",
        commands.one_id,
        "answers over HTTP are known to the client",
    ),
    Invariant(
        14,
        "Offsets committed = processed + dead letters, disjoint: all input is read.",
        log.positions,
    ),
    Invariant(
        15,
        "No open transaction is left: last stable offset = end offset in every partition.",
        log.no_open_transaction,
    ),
    Invariant(
        16,
        "A partition and an offset give one value to every reader.",
        log.one_value,
    ),
    Invariant(
        17,
        "A session never reads an older mypage after a newer one.",
        None,
        "what a session read is known to the client",
    ),
    Invariant(
        18,
        "Every record is in its partition key's partition, a dead letter in its source's.",
        keys.placed,
    ),
    Invariant(
        19,
        "No personal data in clear in any topic's key.",
        keys.anonymous_keys,
        "log lines are not in the topics",
    ),
)
