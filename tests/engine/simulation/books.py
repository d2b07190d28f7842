"""What has to be so of the engine's own books: offsets, rows, positions, what it keeps ready."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from faust.types.tuples import TP

from streams.engine.memory import MemoryRecord

from .disk import Files
from .world import APP, FOLLOWED, Worker, World


def same(what: str, found: Any, wanted: Any) -> None:
    """Raise AssertionError, telling how they differ, unless both are the same."""
    if found != wanted:
        raise AssertionError(f"{what}: {_differ(found, wanted)}")


def _differ(found: Any, wanted: Any) -> str:
    if isinstance(found, Counter):
        return f"too many {dict(found - wanted)}, missing {dict(wanted - found)}"
    if isinstance(found, dict):
        keys = sorted({k for k in found | wanted if found.get(k) != wanted.get(k)}, key=repr)
        return ", ".join(f"{k!r} is {found.get(k)!r}, not {wanted.get(k)!r}" for k in keys)
    return f"is {found!r}, not {wanted!r}"


def check_books(world: World) -> None:
    """Raise AssertionError unless every offset and every row is what the log says."""
    committed = world.cluster.groups[APP].committed
    beyond = {tp: offset for tp, offset in committed.items() if offset > world.cluster.end(tp)}
    same("committed beyond the end", beyond, {})
    same("left to be done", world.left(), [])
    overtaken = [sorted(work.taken) for work in world.overtaken]
    same("overtaken by nobody", overtaken if world.alone else [], [])
    for path, files in world.disk.files.items():
        _check_files(world, path, files)
    for worker in world.workers.values():
        if worker.engine is not None:
            _check_worker(world, worker)


def fold(world: World, tp: TP, position: int | None = None) -> dict[bytes, bytes]:
    """What a changelog's committed records before a position come to."""
    rows: dict[bytes, bytes] = {}
    for offset, record in world.cluster.history.get(tp, {}).items():
        if position is not None and offset >= position:
            break
        key, value = record.key() or b"", record.value()
        if record.state != "committed" or (tp.topic in FOLLOWED and not _readable(record)):
            continue
        if value is None:
            rows.pop(key, None)
        else:
            rows[key] = value
    return rows


def _readable(record: MemoryRecord) -> bool:
    value = record.value()
    return value is None or value.endswith(b"}")


def _changelog(table: str, number: int) -> TP:
    return TP(table if table in FOLLOWED else f"{APP}-{table}-changelog", number)


def _check_files(world: World, path: Path, files: Files) -> None:
    """A store on a disk, whether its worker lives or not."""
    table, _, number = path.name.rpartition("-")
    tp = _changelog(table, int(number))
    position = files.positions.get(int(number))
    if position is None:
        same(f"{path}, which has no position", files.rows, {})
        return
    later = set[bytes | None]()
    if any(step.do == "compact" for step in world.plan.steps):
        # a restore that was not finished may have missed what was written again later
        history = world.cluster.history.get(tp, {})
        later = {record.key() for offset, record in history.items() if offset >= position}
    rows, wanted = _without(later, files.rows), _without(later, fold(world, tp, position))
    same(f"{path} at {position}", rows, wanted)


def _without(keys: set[bytes | None], rows: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    return {key: value for key, value in rows.items() if key not in keys}


def _check_worker(world: World, worker: Worker) -> None:
    """What a worker that has nothing left to do holds in memory."""
    for table in worker.engine.tables.all():
        for number, shard in table.shards.items():
            name = f"{worker.instance} {table.name} {number}"
            rows = dict(shard.store.scan())
            same(name, rows, fold(world, _changelog(table.name, number)))
            for layer in ("kept", "pending", "committing"):
                same(f"{name} {layer}", getattr(shard, layer), {})
            for key, value in {**shard._old, **shard._young}.items():
                row = rows.get(shard._encode_key(key))
                same(
                    f"{name} {key} cached", value, None if row is None else shard._decode_value(row)
                )
