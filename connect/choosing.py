"""Which payment gateway is called: the configuration says so.

HIRESORT_GATEWAY_KIND       http (ours, the default) or stripe
HIRESORT_GATEWAY            its address; http://127.0.0.1:8090, or Stripe's own
HIRESORT_STRIPE_KEY_FILE    the file with Stripe's secret key, for nobody else to read
"""

import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from connect.gateway import Gateway, Timeouts

if TYPE_CHECKING:
    from connect.stripe_gateway import StripeGateway

KIND = "HIRESORT_GATEWAY_KIND"
ADDRESS = "HIRESORT_GATEWAY"
KEY_FILE = "HIRESORT_STRIPE_KEY_FILE"
SANDBOX = "http://127.0.0.1:8090"

_KEY = re.compile(r"(?:sk|rk)_[A-Za-z0-9_]{8,250}")
_FILE_BYTES = 4096


def gateway_of(
    environ: Mapping[str, str], timeouts: Timeouts | None = None, *, connections: int = 64
) -> "Gateway | StripeGateway":
    """The gateway that the environment names; raises ValueError with one clear line."""
    kind, address = environ.get(KIND) or "http", environ.get(ADDRESS) or None
    if kind == "http":
        with _about(ADDRESS):
            return Gateway(address or SANDBOX, timeouts, connections=connections)
    if kind != "stripe":
        raise ValueError(f"{KIND} is http or stripe, not {kind!r}")
    path = environ.get(KEY_FILE)
    if not path:
        raise ValueError(f"{KIND}=stripe needs {KEY_FILE}, a file with Stripe's secret key")
    try:
        from connect.stripe_gateway import StripeGateway  # noqa: PLC0415 - its package is an extra
    except ImportError as error:
        raise ValueError(
            f"{KIND}=stripe needs the package stripe: pip install 'hiresort[stripe]' ({error})"
        ) from error
    with _about(KEY_FILE):
        key = _read_key(Path(path))
    with _about(ADDRESS):
        return StripeGateway(key, address, timeouts, connections=connections)


@contextmanager
def _about(name: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _read_key(path: Path) -> str:
    """The key that stands alone in a file; raises ValueError, which tells none of it."""
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise ValueError(f"{path} is not a file")
        if about.st_mode & (stat.S_IRWXO | stat.S_IWGRP):
            raise ValueError(f"others may use {path}: chmod 600 it")
        with path.open("rb") as file:
            said = file.read(_FILE_BYTES)
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    key = said.decode("ascii", "replace").strip()
    if not _KEY.fullmatch(key):
        raise ValueError(f"{path} holds no secret key of Stripe's (sk_… or rk_…)")
    return key
