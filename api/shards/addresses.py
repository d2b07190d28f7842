"""Where a process can be asked by the others: http(s)://host:port."""

import ipaddress
import re
from urllib.parse import urlsplit

LONGEST = 200
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", re.ASCII)


class NoAddress(ValueError):
    """A text that is no such address; one clear line."""


def check(address: str, *, loopback: bool) -> None:
    """Raise NoAddress unless a process may be asked there; `loopback`: on this machine only."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        raise _no(address) from None
    host = parts.hostname or ""
    bracketed = f"[{host}]" if ":" in host else host
    if (
        parts.scheme not in ("http", "https")
        or not (_HOST.fullmatch(host) or _is_ip(host))
        or not port
        or address != f"{parts.scheme}://{bracketed}:{port}"  # no path, no user, no other spelling
        or len(address) > LONGEST
    ):
        raise _no(address)
    if loopback and not (host == "localhost" or (_is_ip(host) and _is_loopback(host))):
        raise NoAddress(
            f"{host} is not loopback: without --tokens the API is there for this machine only"
        )


def _no(address: str) -> NoAddress:
    return NoAddress(f"{address!r} is no http://host:port or https://host:port")


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host).is_loopback
