"""Ports on loopback."""

import socket

LOOPBACK = "127.0.0.1"
LAST = 65535


def is_free(port: int) -> bool:
    """Say whether a server could listen on `port` now."""
    with socket.socket() as probe:
        # As servers do: a port that only lingers in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a port that nobody uses now, chosen by the system."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def first_free(wanted: int, avoid: frozenset[int] = frozenset()) -> int:
    """Return `wanted` or the next port above it that is free and not in `avoid`.

    Raises OSError when there is none.
    """
    for port in range(wanted, LAST + 1):
        if port not in avoid and is_free(port):
            return port
    raise OSError(f"no port from {wanted} on is free")
