"""What is put in the place of threads, clocks and disks, for a run of a plan."""

import asyncio
import contextlib
import logging
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from faust.types.tuples import TP

from streams.engine.errors import EngineError, Overtaken
from streams.engine.memory_log import MemoryLog

from .background import Background
from .books import check_books
from .effects import check_effects
from .plan import Plan
from .turns import VirtualLoop
from .world import World

END_S = 0.1

STANDBY_S = {"IDLE_S": 0.02, "SETTLE_S": 0.05, "NOTHING_S": 0.2, "ENDS_S": 0.1, "RETRY_S": 0.1}
"""Waits of standbys, shortened as runs are short."""


def run(plan: Plan, *, talk: bool = False) -> str | None:
    """Run a plan; answers what is wrong, or None. `talk`: tell of it as it goes."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    with tempfile.TemporaryDirectory() as folder:
        world = World(plan, loop, Path(folder))
        with _staged(world, loop):
            try:
                loop.run_until_complete(_carried_out(world))
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                world.failed(f"{type(error).__name__}: {error}", error)
            finally:
                _end(world, loop)
    if talk:
        print("\n".join(world.log))  # noqa: T201  # asked for
    if world.failure is None:
        return None
    what, cause = world.failure
    if talk and cause is not None:
        traceback.print_exception(cause)
    return what


def digest(plan: Plan) -> list[Any]:
    """Run a plan; answers every record that was written, in a form that can be compared."""
    written: list[Any] = []
    append = World.__init__

    def noting(world: World, *args: Any) -> None:
        append(world, *args)
        written.append(world.cluster.history)

    with mock.patch.object(World, "__init__", noting):
        found = run(plan)
    (history,) = written
    return [
        found,
        sorted(
            (tp, at, r.key(), r.value(), r.state, r.at)
            for tp in history
            for at, r in history[tp].items()
        ),
    ]


async def _carried_out(world: World) -> None:
    await world.run()
    for stop in (None, world.stop):
        if world.failure:
            return
        if stop is not None:
            await stop()
        check_books(world)
        check_effects(world)


def _end(world: World, loop: VirtualLoop) -> None:
    """Leave nothing behind, whatever state it is in."""
    muted = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    for task in asyncio.all_tasks(loop):
        task.cancel()
    with contextlib.suppress(BaseException):
        loop.run_until_complete(asyncio.sleep(END_S))
    logging.disable(muted)
    world.turns.close()
    asyncio.set_event_loop(None)
    loop.close()


def _told(offsets: Mapping[TP, int]) -> str:
    return ", ".join(f"{topic}-{n} up to {offset}" for (topic, n), offset in offsets.items())


def _noting(world: World) -> Callable[[MemoryLog, Any], Any]:
    commit = MemoryLog.commit

    def noting(log: MemoryLog, work: Any) -> Any:
        try:
            ends = commit(log, work)
        except EngineError as error:
            world.note(log._name, f"does not commit, {error}:", _told(work.offsets))
            if isinstance(error, Overtaken):
                world.overtaken.append(work)
            raise
        world.note(log._name, "commits", _told(work.offsets))
        return ends

    return noting


@contextmanager
def _staged(world: World, loop: VirtualLoop) -> Iterator[None]:
    with ExitStack() as stack:
        for place, thing in _places(world, loop).items():
            stack.enter_context(mock.patch(place, thing))
        yield


def _places(world: World, loop: VirtualLoop) -> dict[str, Any]:
    """What stands where in a run."""
    background = Background(world.turns)
    clock = SimpleNamespace(monotonic=loop.time, sleep=world.turns.sleep, thread_time=loop.time)

    def instance(folder: Path) -> Any:
        name = world.workers[folder.parent.name].instance
        return SimpleNamespace(path=folder / name, name=name, close=lambda: None)

    engine = "streams.engine"
    places: dict[str, Any] = {
        "asyncio.run_coroutine_threadsafe": world.turns.call,
        f"{engine}.engine.ThreadPoolExecutor": lambda *_: world.turns.executor(),
        f"{engine}.held.ThreadPoolExecutor": lambda *_: world.turns.executor(),
        f"{engine}.engine.Instance": instance,
        f"{engine}.engine.gc": mock.Mock(),
        **{
            f"{engine}.{n}.time": clock
            for n in ("engine", "held", "lanes", "cut_through", "tables", "standby")
        },
        f"{engine}.memory_log.IDLE_S": 0.05,
        f"{engine}.standby.threading": background,
        f"{engine}.standby.asyncio": background,
        **{f"{engine}.standby.{name}": seconds for name, seconds in STANDBY_S.items()},
        f"{engine}.memory_log.MemoryLog.commit": _noting(world),
        **{f"{engine}.{name}": size for name, size in world.plan.sizes.items()},
    }
    if not world.plan.rocksdb:
        places |= {f"{engine}.{module}.shutil": world.disk for module in ("tables", "standby")}
        places[f"{engine}.tables.Store"] = world.disk
    return places
