"""Processes are started apart from us, found again by id and birth, and ended for certain."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hiresort.deadlines import until
from hiresort.local import processes

WAIT_S = 10.0
STUBBORN = (
    "import signal, sys, threading\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print('ready', flush=True)\n"
    "threading.Event().wait()\n"
)
PATIENT = "import threading; print('ready', flush=True); threading.Event().wait()"


def start(program: str, log: Path) -> processes.Process:
    """Start a Python program and wait until it says that it is ready."""
    process = processes.spawn([sys.executable, "-c", program], log, dict(os.environ))
    assert until(lambda: "ready" in log.read_text(), WAIT_S)
    return process


def test_a_process_has_a_session_of_its_own(tmp_path: Path) -> None:
    process = start(PATIENT, tmp_path / "log")
    assert os.getsid(process.pid) == process.pid
    assert process.stop(WAIT_S)


def test_a_process_that_ended_is_not_alive_though_nobody_waited_for_it(tmp_path: Path) -> None:
    process = start("print('ready', flush=True)", tmp_path / "log")
    assert until(lambda: not process.alive(), WAIT_S)


def test_whoever_ignores_the_request_is_killed(tmp_path: Path) -> None:
    process = start(STUBBORN, tmp_path / "log")
    assert not process.stop(0.2)
    assert not process.alive()


def test_another_process_with_the_same_id_is_left_alone(tmp_path: Path) -> None:
    process = start(PATIENT, tmp_path / "log")
    former = replace(process, birth="1")
    assert not former.alive()
    assert former.stop(WAIT_S)
    assert process.alive()
    process.stop(WAIT_S)


def test_output_is_appended_to_the_log(tmp_path: Path) -> None:
    log = tmp_path / "folder" / "log"
    first = processes.spawn([sys.executable, "-c", "print('ready')"], log, {})
    assert until(lambda: not first.alive(), WAIT_S)
    second = processes.spawn([sys.executable, "-c", "print('ready')"], log, {})
    assert until(lambda: not second.alive(), WAIT_S)
    assert log.read_text() == "ready\nready\n"


def test_a_program_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        processes.spawn([str(tmp_path / "nothing")], tmp_path / "log", {})


def test_the_last_lines_of_a_log_leave_out_empty_ones(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert processes.last_lines(log) == "(its log is empty)"
    log.write_text("one\n\ntwo\n\nthree\n")
    assert processes.last_lines(log, 2) == "two\nthree"
