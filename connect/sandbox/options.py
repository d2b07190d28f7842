"""The command line's options for faults, one for each of a plan that makes sense at the start."""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import click

from connect.sandbox.faults import A_DAY_MS

F = TypeVar("F", bound=Callable[..., object])


class Share(click.FloatRange):
    """From 0 to 1; click itself finds NaN within every range."""

    name = "share"

    def __init__(self) -> None:
        super().__init__(0, 1)

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as click has it
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401 - as click has it
        """The share; a usage error for what is none."""
        share = super().convert(value, param, ctx)
        if math.isnan(share):
            self.fail(f"{value!r} is not a number from 0 to 1", param, ctx)
        return share


_MS = click.IntRange(0, 600_000)
_OPTIONS: tuple[tuple[str, click.ParamType, int | float, str], ...] = (
    ("--decline", Share(), 0.0, "Share of charges declined, 0 to 1."),
    ("--delay-ms", _MS, 0, "How long each charge and refund waits for its decision."),
    ("--error-before", Share(), 0.0, "Share of attempts answered 503, nothing decided."),
    ("--error-after", Share(), 0.0, "Share answered 500 although it was decided."),
    ("--hang-before", Share(), 0.0, "Share never answered, nothing decided."),
    ("--hang-after", Share(), 0.0, "Share never answered although it was decided."),
    ("--hang-ms", _MS, 60_000, "After so long the connection of one that hangs is cut."),
    ("--cut-before", Share(), 0.0, "Share whose connection is cut, nothing decided."),
    ("--cut-after", Share(), 0.0, "Share whose connection is cut although it was decided."),
    ("--callbacks", click.IntRange(0, 10), 1, "How often each callback is delivered."),
    (
        "--callback-delay-ms",
        click.IntRange(0, A_DAY_MS),
        0,
        "Each delivery waits a random share of it.",
    ),
    ("--forge", Share(), 0.0, "Share of deliveries followed by a forged one."),
    (
        "--seed",
        click.IntRange(0, 2**63 - 1),
        0,
        "Which of them it happens to; the same seed, the same ones.",
    ),
)


def fault_options(command: F) -> F:
    """Give `command` an option for each fault, named as in PUT /faults."""
    for name, kind, default, says in reversed(_OPTIONS):
        command = click.option(name, type=kind, default=default, show_default=True, help=says)(
            command
        )
    return command
