"""A commit that never ends ends the worker, not the waiting."""

import threading
from typing import Any

import pytest

from streams.engine import engine
from streams.engine.errors import Killed
from streams.engine.memory_log import MemoryLog
from tests.engine.test_restarts import counting


async def test_a_commit_that_hangs_ends_the_process_in_one_line(
    drive: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    released, commit = threading.Event(), MemoryLog.commit

    def hang(log: MemoryLog, work: Any) -> Any:
        released.wait(10)
        return commit(log, work)

    def end(status: int) -> None:
        released.set()
        raise Killed(f"exit status {status}")

    async with drive(counting) as driver:
        monkeypatch.setattr(MemoryLog, "commit", hang)
        monkeypatch.setattr(engine, "COMMIT_S", 0.05)
        monkeypatch.setattr(engine.os, "_exit", end)
        driver.send("words", None, "one")
        with pytest.raises(Killed, match="exit status 1"):
            await driver.settle()
        monkeypatch.undo()
    assert "a commit has not ended in 0 s: start this worker again" in caplog.text
