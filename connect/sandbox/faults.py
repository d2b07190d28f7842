"""What the sandbox does wrong, on demand and the same way each time."""

import hashlib
import math
from collections import OrderedDict
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Fault = Literal[
    "error_before", "hang_before", "cut_before", "error_after", "hang_after", "cut_after"
]
"""What goes wrong with an attempt: before anything was decided, or after."""

BEFORE: tuple[Fault, ...] = ("error_before", "hang_before", "cut_before")
AFTER: tuple[Fault, ...] = ("error_after", "hang_after", "cut_after")

COUNTED_STEPS = 200_000
"""Of so many steps, the last ones seen, the attempts are counted."""

Share = Annotated[float, Meta(ge=0, le=1)]
Ms = Annotated[int, Meta(ge=0, le=600_000)]
A_DAY_MS = 86_400_000


class Faults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One plan of faults; without arguments: none. All follow from the step and `seed`.

    `decline` is the share of charges declined; a greater share declines the same ones and more.
    `delay_ms` is how long each charge and refund waits before it is decided.

    Of the attempts of a step, inquiries too, `error_before` and `error_after` are the shares that
    are answered 503 and 500, `hang_before` and `hang_after` those that are not answered while the
    client waits, for `hang_ms` at most, `cut_before` and `cut_after` those whose connection is cut;
    before anything was decided, or after. An attempt has one fault at most, so that these shares
    come to 1 at most; an inquiry has none of those after. While `down`, each attempt is cut at
    once.

    `callbacks` is how often each callback is delivered; each delivery waits a share of
    `callback_delay_ms` of its own; after the share `forge` of them comes one with a wrong
    signature, which says the opposite.
    """

    decline: Share = 0.0
    delay_ms: Ms = 0
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    error_before: Share = 0.0
    error_after: Share = 0.0
    hang_before: Share = 0.0
    hang_after: Share = 0.0
    hang_ms: Ms = 60_000
    cut_before: Share = 0.0
    cut_after: Share = 0.0
    down: bool = False
    callbacks: Annotated[int, Meta(ge=0, le=10)] = 1
    callback_delay_ms: Annotated[int, Meta(ge=0, le=A_DAY_MS)] = 0
    forge: Share = 0.0

    def __post_init__(self) -> None:
        shares = math.fsum(getattr(self, fault) for fault in BEFORE + AFTER)
        if shares > 1 + 1e-9:
            raise ValueError(
                "the shares of attempts that err, hang or are cut come to more than 1: "
                f"{shares:.3g}"
            )

    def declines(self, step: str) -> bool:
        """Whether the charge of `step` is declined."""
        return _drawn(f"{self.seed}/{step}") < self.decline

    def fault(self, step: str, attempt: int) -> Fault | None:
        """What goes wrong with this attempt of `step`, counted from 1."""
        drawn, below = _drawn(f"{self.seed}/attempt {attempt}/{step}"), 0.0
        for fault in BEFORE + AFTER:
            below += getattr(self, fault)
            if drawn < below:
                return fault
        return None

    def callback_wait_s(self, step: str, delivery: int) -> float:
        """How long this delivery of the callback about `step` waits, counted from 1."""
        drawn = _drawn(f"{self.seed}/callback {delivery}/{step}")
        return drawn * self.callback_delay_ms / 1000

    def forges(self, step: str, delivery: int) -> bool:
        """Whether a forged callback comes after this delivery, counted from 1."""
        return _drawn(f"{self.seed}/forged {delivery}/{step}") < self.forge


class FaultPlan:
    """The faults in force, replaced as a whole while the sandbox runs.

    With each plan the attempts of every step are counted from 1 again.
    """

    def __init__(self, faults: Faults) -> None:
        self._attempts: OrderedDict[str, int] = OrderedDict()
        self._faults = faults

    @property
    def faults(self) -> Faults:
        """The plan in force; set it to have another."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self._faults = faults
        self._attempts.clear()

    def draw(self, step: str) -> Fault | None:
        """What goes wrong with the attempt of `step` that begins now."""
        attempt = self._attempts.pop(step, 0) + 1
        self._attempts[step] = attempt
        if len(self._attempts) > COUNTED_STEPS:
            self._attempts.popitem(last=False)
        return self._faults.fault(step, attempt)


def _drawn(of: str) -> float:
    """A number from 0 to under 1 that follows from `of` alone."""
    return (int.from_bytes(hashlib.sha256(of.encode()).digest()[:8], "big") >> 11) / 2**53
