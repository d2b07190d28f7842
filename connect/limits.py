"""What a worker allows its payment gateway, as the environment says it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self, TypeVar

from connect.breaker import Limits
from connect.caller import Room
from connect.gateway import Timeouts

T = TypeVar("T", Timeouts, Room, Limits)


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """How long calls may take, how many there may be, and when none is made any more."""

    timeouts: Timeouts = field(default_factory=Timeouts)
    room: Room = field(default_factory=Room)
    breaker: Limits = field(default_factory=Limits)

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self:
        """Each by its name: HIRESORT_GATEWAY_READ_S, HIRESORT_BREAKER_SLOW_S and so on.

        Raises:
            ValueError: one is not a number above 0; says which.
        """
        return cls(
            _read(Timeouts, "HIRESORT_GATEWAY_", environ),
            _read(Room, "HIRESORT_GATEWAY_", environ),
            _read(Limits, "HIRESORT_BREAKER_", environ),
        )


def _read(kind: type[T], prefix: str, environ: Mapping[str, str]) -> T:
    default = kind()
    found: dict[str, Any] = {}
    for each in fields(kind):
        name = prefix + each.name.upper()
        if name in environ:
            found[each.name] = _number(name, environ[name], type(getattr(default, each.name)))
    return kind(**found)


def _number(name: str, said: str, kind: type) -> float:
    try:
        number: float = kind(said)
    except ValueError:
        number = 0
    if not 0 < number < float("inf"):
        whole = "a whole number" if kind is int else "a number"
        raise ValueError(f"{name} has to be {whole} above 0, not {said!r}")
    return number
