"""How processes show each other that they are of one service: a secret that all of them have.

A request is signed with the time, over its method, its address and its body. What was signed longer
ago than WINDOW_S counts no more; within it, whoever has seen a request could send it again, and
would be told once more what was told already: nothing is changed by any of them.
"""

import hmac
import re
import time
from collections.abc import Callable, Sequence

HEADER = "Hiresort-Peer"
WINDOW_S = 30

_HEADER = re.compile(r"t=([1-9][0-9]{0,11}),v1=([0-9a-f]{64})", re.ASCII)


class Signing:
    """The secrets: the first signs, each verifies, so that one after the other can be replaced."""

    def __init__(self, secrets: Sequence[bytes], clock: Callable[[], float] = time.time) -> None:
        """`clock` gives seconds since 1970."""
        self._secrets, self._clock = secrets, clock

    def sign(self, method: str, target: str, body: bytes = b"") -> dict[str, str]:
        """Return the header of a request; `target` is all of its address."""
        at = str(int(self._clock()))
        return {HEADER: f"t={at},v1={_mac(self._secrets[0], at, method, target, body)}"}

    def is_signed(self, header: str | None, method: str, target: str, body: bytes = b"") -> bool:
        """Whether one of us has signed this request, lately."""
        parts = _HEADER.fullmatch(header or "")
        if parts is None:
            return False
        # Each secret is tried: how long it takes tells nothing.
        macs = [_mac(secret, parts[1], method, target, body) for secret in self._secrets]
        matches = [hmac.compare_digest(mac, parts[2]) for mac in macs]
        return any(matches) and abs(self._clock() - int(parts[1])) <= WINDOW_S


def _mac(secret: bytes, at: str, method: str, target: str, body: bytes) -> str:
    signed = b"\n".join((b"hiresort-peer", at.encode(), method.encode(), target.encode(), body))
    return hmac.digest(secret, signed, "sha256").hex()
