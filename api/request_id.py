"""What one request is called, in its answer, its problem and its line of the log."""

import re
from itertools import count
from secrets import token_hex

from aiohttp import web

HEADER = "X-Request-Id"
URN = "urn:hiresort:request:"

_SANE = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_PROCESS, _NUMBERS = token_hex(4), count()
"""An id has to be no other's. That nobody can guess it, it needs not: random bytes take longer."""

_KEY = web.RequestKey("request_id", str)


def give_id(request: web.Request) -> None:
    """Call a request what its sender calls it, if that is sane, else by an id of our own."""
    sent = request.headers.get(HEADER)
    sane = sent is not None and _SANE.fullmatch(sent)
    request[_KEY] = sent if sent is not None and sane else f"{_PROCESS}{next(_NUMBERS):08x}"


def id_of(request: web.BaseRequest) -> str | None:
    """Return what it is called; None if it was given no id."""
    return request.get(_KEY)
