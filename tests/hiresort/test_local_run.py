"""The whole system on one machine: started once, found again, mended, stopped."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec
import pytest

from hiresort.addresses import BadRun, Part, Run, read_run
from hiresort.deadlines import until
from hiresort.local import parts, ports, processes
from hiresort.local.locks import exclusive
from hiresort.local.parts import Site
from hiresort.local.supervisor import LocalRunError, Supervisor

WAIT_S = 120.0
SLEEPER = [sys.executable, "-c", "import threading; threading.Event().wait()"]


def hiresort(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "hiresort", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=False,
    )


def run_of(folder: Path) -> dict[str, Any]:
    """Return what run.json holds."""
    found: dict[str, Any] = json.loads((folder / ".hiresort" / "run.json").read_text())
    return found


def pids(folder: Path) -> dict[str, int]:
    """Return the process of each part."""
    return {name: part["pid"] for name, part in run_of(folder)["parts"].items()}


def write_run(folder: Path, run: Run) -> None:
    """Leave a run as an earlier `up` would."""
    folder.mkdir()
    (folder / "run.json").write_bytes(msgspec.json.encode(run))


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[processes.Process]:
    """Give a process that is none of a run's."""
    process = processes.spawn(SLEEPER, tmp_path / "sleeper.log", {})
    yield process
    process.stop(WAIT_S)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Give a folder to run in, with nothing left running in it."""
    yield tmp_path
    hiresort(tmp_path, "clean")


@pytest.mark.kafka
@pytest.mark.slow
def test_everything_is_started_found_again_mended_and_stopped(folder: Path) -> None:
    started = hiresort(folder, "up")
    assert started.returncode == 0, started.stderr
    assert started.stdout.count("Try:") == 1
    addresses = run_of(folder)["addresses"]
    with urlopen(addresses["HIRESORT_API"] + "/readyz") as answer:
        assert answer.status == 200
    assert hiresort(folder, "status").returncode == 0
    before = pids(folder)

    assert hiresort(folder, "up").returncode == 0
    assert pids(folder) == before

    os.kill(before["payments"], signal.SIGKILL)
    status = hiresort(folder, "status")
    assert status.returncode == 1
    assert [line.split()[0] for line in status.stdout.splitlines() if line.endswith("no")] == [
        "payments"
    ]
    assert hiresort(folder, "up").returncode == 0
    after = pids(folder)
    assert {name for name in after if after[name] != before[name]} == {"payments"}

    running = [
        processes.Process(part["pid"], part["birth"]) for part in run_of(folder)["parts"].values()
    ]
    stopped = hiresort(folder, "down")
    assert stopped.returncode == 0
    assert stopped.stderr.splitlines()[-2:] == ["Stopped sandbox", "Stopped kafka"]
    assert not [process for process in running if process.alive()]

    assert hiresort(folder, "clean").returncode == 0
    assert not (folder / ".hiresort").exists()


@pytest.mark.kafka
def test_a_kill_of_up_itself_leaves_nothing_that_down_does_not_find(folder: Path) -> None:
    up = subprocess.Popen(
        [sys.executable, "-m", "hiresort", "up"], cwd=folder, stderr=subprocess.DEVNULL
    )
    run_file = folder / ".hiresort" / "run.json"
    assert until(lambda: run_file.exists() and pids(folder)["kafka"] is not None, WAIT_S)
    up.kill()
    up.wait()
    part = run_of(folder)["parts"]["kafka"]
    assert "Stopped kafka" in hiresort(folder, "down").stderr
    assert not processes.Process(part["pid"], part["birth"]).alive()


@pytest.mark.kafka
@pytest.mark.slow
def test_a_part_that_cannot_start_is_told_with_its_log_and_nothing_stays(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = [sys.executable, "-c", "raise SystemExit('no sandbox today')"]
    monkeypatch.setattr(Site, "command", lambda _, name: broken if name == "sandbox" else SLEEPER)
    with pytest.raises(LocalRunError, match="sandbox ended while it was started") as failure:
        Supervisor(folder / ".hiresort", lambda _: None).up()
    assert "no sandbox today" in str(failure.value)
    assert set(pids(folder).values()) == {None}


def test_a_port_that_is_taken_is_stepped_over_and_kept_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server((ports.LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(parts, "PORTS", {})
        monkeypatch.setattr(
            "hiresort.local.supervisor.PORTS", {"kafka": port, "sandbox": port, "api": port}
        )
        supervisor = Supervisor(tmp_path, lambda _: None)
        first = supervisor._settle()
    assert port not in first.ports.values()
    assert len(set(first.ports.values())) == 3
    assert supervisor._settle().ports == first.ports
    assert read_run(tmp_path / "run.json").addresses == first.addresses


def test_sandbox_and_api_alone_are_told_of_the_secret_of_the_callbacks(tmp_path: Path) -> None:
    site = Site(tmp_path, parts.PORTS)
    secret = {"HIRESORT_CALLBACK_SECRET_FILE": str(tmp_path / "callback.secret")}
    url = {"HIRESORT_CALLBACK_URL": "http://127.0.0.1:8088/payments/callbacks"}
    assert site.environment("sandbox") == site.addresses | secret | url
    assert site.environment("api") == site.addresses | secret
    for worker in ("reservations", "payments"):
        assert site.environment(worker) == site.addresses


def test_a_process_that_took_over_a_pid_is_not_ours(
    tmp_path: Path, sleeper: processes.Process
) -> None:
    write_run(tmp_path / "run", Run(parts={"api": Part(pid=sleeper.pid, birth="1")}))
    told: list[str] = []
    Supervisor(tmp_path / "run", told.append).down()
    assert told == []
    assert sleeper.alive()


def test_what_was_started_is_stopped_by_a_later_command(
    tmp_path: Path, sleeper: processes.Process
) -> None:
    write_run(tmp_path / "run", Run(parts={"api": Part(pid=sleeper.pid, birth=sleeper.birth)}))
    told: list[str] = []
    Supervisor(tmp_path / "run", told.append).down()
    assert told == ["Stopped api"]
    assert not sleeper.alive()


def test_down_and_clean_of_nothing_do_nothing(tmp_path: Path) -> None:
    for command in ("down", "clean"):
        answer = hiresort(tmp_path, command)
        assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_status_of_nothing_says_how_to_start(tmp_path: Path) -> None:
    answer = hiresort(tmp_path, "status")
    assert answer.returncode == 1
    assert "`hiresort up`" in answer.stdout


@pytest.mark.parametrize("text", ["", "{", "[]", '{"parts": {"api": {"pid": "x"}}}', "\0"])
def test_a_run_file_that_cannot_be_read_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(BadRun, match=r"run\.json can't be read") as failure:
        read_run(path)
    assert "\n" not in failure.value.message


def test_a_lock_is_held_by_one_and_waited_for_by_others(tmp_path: Path) -> None:
    inside = threading.Event()
    waited: list[bool] = []

    def second() -> None:
        with exclusive(tmp_path / "lock", lambda: waited.append(inside.is_set())):
            inside.set()

    with exclusive(tmp_path / "lock"):
        thread = threading.Thread(target=second)
        thread.start()
        assert until(lambda: bool(waited), WAIT_S)
        assert not inside.is_set()
        (tmp_path / "lock").unlink()
    thread.join()
    assert inside.is_set()
    assert waited == [False]
    assert (tmp_path / "lock").exists()
