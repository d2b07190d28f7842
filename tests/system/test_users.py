"""What users of a running system do: the README's lines, the command line, a replay, an audit."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.conftest import System

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
STAY = ("--resort", "jeju", "--check-in", "2099-05-01", "--nights", "2", "--persons", "2")


def reserved(system: System, *arguments: str) -> dict[str, str]:
    done = system.hiresort("reserve", *STAY, *arguments, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    reservation: dict[str, str] = json.loads(done.stdout)
    return reservation


def test_the_readmes_lines_reserve_and_see_the_ticket(system: System) -> None:
    readme = (ROOT / "README.md").read_text()
    [lines] = re.findall(r"<!-- ten-lines -->\n```python\n(.*?)```", readme, re.DOTALL)
    bootstrap = system.addresses["HIRESORT_BOOTSTRAP"]
    done = subprocess.run(
        [sys.executable, "-c", lines],
        cwd=ROOT,
        env=os.environ | {"HIRESORT_BOOTSTRAP": bootstrap},
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert re.fullmatch(r"ticket jeju-\d+\n", done.stdout), done.stderr


def test_a_reservation_paid_at_once_is_confirmed_with_a_ticket(system: System) -> None:
    reservation = reserved(system, "--customer", "c-once", "--pay", "card")
    assert reservation["status"] == "CONFIRMED"
    assert reservation["ticket"].startswith("jeju-")


def test_a_held_reservation_is_paid_shown_and_cancelled(system: System) -> None:
    reservation_id = reserved(system, "--customer", "c-steps")["reservation_id"]

    paid = system.hiresort("pay", reservation_id, "--type", "card", "--json")
    assert json.loads(paid.stdout)["status"] == "APPROVED", paid.stderr

    page = system.hiresort("mypage", "c-steps")
    assert (page.returncode, "CONFIRMED" in page.stdout) == (0, True), page.stdout

    cancelled = system.hiresort("cancel", reservation_id, "--json")
    assert json.loads(cancelled.stdout)["status"] == "CANCELLED", cancelled.stderr


def test_the_same_key_is_the_same_reservation(system: System) -> None:
    first = reserved(system, "--customer", "c-again", "--pay", "card", "--key", "k")
    again = reserved(system, "--customer", "c-again", "--pay", "card", "--key", "k")
    assert again["ticket"] == first["ticket"]


def test_a_replay_agrees_with_the_model_and_the_audit_is_clean(system: System) -> None:
    replayed = system.hiresort("replay", "--demo", "400", "--half")
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
    audited = system.hiresort(
        "audit", "--ledger", system.addresses["HIRESORT_GATEWAY"], "--wait", "60"
    )
    assert audited.returncode == 0, audited.stdout + audited.stderr


def test_a_second_up_finds_everything_running(system: System) -> None:
    again = system.hiresort("up")
    assert (again.returncode, "Starting" in again.stdout) == (0, False), again.stdout
