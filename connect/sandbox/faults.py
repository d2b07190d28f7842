"""What the sandbox does wrong, on demand and the same way each time."""

import hashlib
from typing import Annotated

import msgspec
from msgspec import Meta


class Faults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One plan of faults; without arguments: none.

    `decline` is the share of charges declined, 0 to 1; which ones they are follows from the step
    and `seed` alone, and a greater share declines the same ones and more. `delay_ms` is how long
    each charge and refund waits before it is decided.
    """

    decline: Annotated[float, Meta(ge=0, le=1)] = 0.0
    delay_ms: Annotated[int, Meta(ge=0, le=600_000)] = 0
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0

    def declines(self, step: str) -> bool:
        """Whether the charge of `step` is declined."""
        digest = hashlib.sha256(f"{self.seed}/{step}".encode()).digest()
        return int.from_bytes(digest[:8], "big") < self.decline * 2**64

    @property
    def delay_s(self) -> float:
        """How long a charge or refund waits, in seconds."""
        return self.delay_ms / 1000


class FaultPlan:
    """The faults in force, replaced as a whole while the sandbox runs."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
