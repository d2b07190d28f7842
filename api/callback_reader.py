"""How the gateway's callbacks are read: which gateway it is, and the secrets that it signs with.

Unusable   it is configured in a way that can't work; one clear line
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

from connect import callbacks
from connect.callbacks import Said
from schemas.records import PaymentOutcome

KINDS = ("http", "stripe")
"""The gateway speaks the small protocol of ours, or Stripe's."""

Verify = Callable[[Sequence[bytes], bytes, str | None, int], Said | None]
"""Of secrets, body, signature and the time in seconds: what was said, None for no news of a step.

Raises CallbackRefused.
"""


class Unusable(Exception):
    """Callbacks can't be read with this configuration."""


class Outcomes(Protocol):
    """Where outcomes are sent."""

    async def send(self, outcome: PaymentOutcome, /) -> None:
        """Return once the outcome is kept for good. Raises Undelivered."""


@dataclass(frozen=True)
class CallbackReader:
    """What verifies callbacks; `header` is the one that holds their signature."""

    header: str
    verify: Verify
    secrets: Sequence[bytes]


@dataclass
class Callbacks:
    """What the route of the callbacks has; `unsigned` counts those that it refused for that."""

    reader: CallbackReader
    outcomes: Outcomes
    unsigned: int = 0


def reader_of(kind: str, secret_file: Path) -> CallbackReader:
    """Return the reader for one of KINDS, with the secrets of a file. Raises Unusable."""
    try:
        secrets = callbacks.read_secrets(secret_file)
    except ValueError as error:
        raise Unusable(f"the gateway's callbacks: {error}") from None
    if kind == "stripe":
        return CallbackReader("Stripe-Signature", _of_stripe(), secrets)
    return CallbackReader(callbacks.SIGNATURE, callbacks.verified, secrets)


def _of_stripe() -> Verify:
    """Load what needs a package that no other gateway does. Raises Unusable."""
    try:
        verify: Verify = import_module("connect.stripe_gateway").stripe_said
    except ImportError as error:
        raise Unusable(f"HIRESORT_GATEWAY_KIND=stripe needs the package stripe: {error}") from None
    return verify
