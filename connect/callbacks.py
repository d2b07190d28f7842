"""The gateway's signed callbacks: which are believed, and what they say.

A callback is a POST whose header says when it was sent and, over that time and the body's very
bytes, the HMAC under a secret that both sides know. What was done to it on its way shows; what is
sent again by somebody else is refused once it is old.

Errors:
    CallbackRefused             reason: one clear line, nothing secret in it
    +-- SignatureRefused        missing, malformed, wrong, out of the time window; a 401 problem
    +-- BodyRefused             signed, but not a callback; a 400 problem
"""

import hmac
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from connect import strict_json
from connect.gateway import Answer, AnswerKind

SIGNATURE = "Hiresort-Signature"
"""The header that signs a callback."""

BODY_BYTES = 16 * 1024
"""No callback is longer."""

SECRET_CHARACTERS = 32
"""A shorter secret could be guessed."""

_FILE_BYTES = 64 * 1024
# At most eight signatures: each costs a comparison with each secret.
_HEADER = re.compile(r"t=(0|[1-9][0-9]{0,11})((?:,v1=[0-9a-f]{64}){1,8})")


class CallbackRefused(Exception):
    """It changes nothing."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SignatureRefused(CallbackRefused):
    """Nothing shows that the gateway has sent it, and lately."""


class BodyRefused(CallbackRefused):
    """The gateway has sent it, and it says nothing about a step."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a callback says: `answer` is that of `step`, given at `at`, ms since 1970 UTC.

    Each delivery of one callback has the same `event`.
    """

    step: str
    reservation_id: str
    answer: Answer
    event: str
    at: int


def sign(secret: bytes, body: bytes, at_s: int) -> str:
    """The header of a delivery of `body` that is sent at `at_s`, seconds since 1970 UTC."""
    return f"t={at_s},v1={_mac(secret, body, str(at_s))}"


def verified(
    secrets: Sequence[bytes],
    body: bytes,
    header: str | None,
    now_s: int,
    tolerance_s: int = 300,
) -> Said:
    """What the callback says, if one of `secrets` signed it within `tolerance_s` of `now_s`.

    Raises:
        SignatureRefused: nothing shows that the gateway has sent it.
        BodyRefused: it is signed, but not a callback.
    """
    if header is None:
        raise SignatureRefused(f"the header {SIGNATURE} is missing")
    parts = _HEADER.fullmatch(header)
    if parts is None:
        raise SignatureRefused(f"the header {SIGNATURE} is not t=SECONDS,v1=HEX[,v1=HEX]")
    sent, signatures = parts[1], parts[2].removeprefix(",v1=").split(",v1=")
    # Each secret and signature is tried: how long it takes tells nothing.
    matches = [
        hmac.compare_digest(mac, signature)
        for mac in [_mac(secret, body, sent) for secret in secrets]
        for signature in signatures
    ]
    if not any(matches):
        raise SignatureRefused("no secret of ours gives this signature of this body and time")
    if abs(now_s - int(sent)) > tolerance_s:
        raise SignatureRefused(f"it was signed more than {tolerance_s} s before or after now")
    return _said(body)


def read_secrets(path: Path) -> list[bytes]:
    """The secrets in a file, one a line; the first is the one to sign with.

    Raises ValueError, in one line that tells no secret, for a file that can't be read, that others
    than its owner and group may use, or that has a line which is no secret.
    """
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise ValueError(f"the file of secrets {path} is not a file")
        if about.st_mode & (stat.S_IRWXO | stat.S_IWGRP):
            raise ValueError(f"others may use the file of secrets {path}: chmod 600 it")
        with path.open("rb") as file:
            lines = file.read(_FILE_BYTES).splitlines()
    except OSError as error:
        raise ValueError(f"cannot read the file of secrets {path}: {error.strerror}") from None
    secrets = []
    for number, line in enumerate(lines, start=1):
        secret = line.strip()
        if not secret:
            continue
        if len(secret) < SECRET_CHARACTERS or not (secret.isascii() and _is_printable(secret)):
            raise ValueError(
                f"line {number} of the file of secrets {path} is not a secret: "
                f"{SECRET_CHARACTERS} or more printable characters of ASCII"
            )
        secrets.append(secret)
    if not secrets:
        raise ValueError(f"the file of secrets {path} has no secret in it")
    return secrets


def _is_printable(secret: bytes) -> bool:
    return secret.decode("ascii").isprintable()


def _mac(secret: bytes, body: bytes, sent: str) -> str:
    return hmac.digest(secret, f"{sent}.".encode() + body, "sha256").hex()


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    """As in the gateway's own answers."""

    status: AnswerKind
    amount: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}\Z")]
    payment_id: Annotated[str, Meta(pattern=r"^[!-~]{1,100}\Z")] | None = None
    reason: Annotated[str, Meta(max_length=1000)] | None = None

    def __post_init__(self) -> None:
        if self.status == "APPROVED" and self.payment_id is None:
            raise ValueError("approved without a payment_id")


class _Body(msgspec.Struct, frozen=True, kw_only=True):
    event: Annotated[str, Meta(pattern=r"^[!-~]{1,100}\Z")]
    step: Annotated[str, Meta(min_length=1, max_length=255)]
    reservation_id: Annotated[str, Meta(min_length=1, max_length=255)]
    at: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    answer: _Answer

    def __post_init__(self) -> None:
        if not (self.step.isprintable() and self.reservation_id.isprintable()):
            raise ValueError("`step` or `reservation_id` has characters that can't be printed")


def _said(body: bytes) -> Said:
    if len(body) > BODY_BYTES:
        raise BodyRefused(f"a callback has at most {BODY_BYTES} bytes")
    try:
        said = strict_json.read(body, _Body)
    except strict_json.BadBody as error:
        raise BodyRefused(f"not a callback: {error}") from None
    about = said.answer
    answer = Answer(about.status, about.payment_id, about.amount, about.currency, about.reason)
    return Said(said.step, said.reservation_id, answer, said.event, said.at)
