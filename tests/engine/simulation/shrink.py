"""A failing plan cut down to what is needed to fail."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .plan import Plan


def shrink(plan: Plan, fails: Callable[[Plan], bool]) -> Plan:
    """Leave out steps, and unusual settings, as long as it still fails."""
    size = max(1, len(plan.steps) // 2)
    while size:
        at = 0
        while at < len(plan.steps):
            fewer = replace(plan, steps=plan.steps[:at] + plan.steps[at + size :])
            if fails(fewer):
                plan = fewer
            else:
                at += size
        size //= 2
    for name in list(plan.sizes):
        plain = replace(plan, sizes={n: v for n, v in plan.sizes.items() if n != name})
        plan = plain if fails(plain) else plan
    plainer: dict[str, Any] = {
        "lazy": 0.0,
        "slow": 0.0,
        "eager": False,
        "poll_max": None,
        "standbys": 0,
    }
    for name, value in plainer.items():
        plain = replace(plan, **{name: value})
        plan = plain if fails(plain) else plan
    return plan
