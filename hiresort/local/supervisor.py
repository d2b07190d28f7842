"""The one place that starts, finds, asks and stops the processes of a local run.

LocalRunError   a part could not be started; nothing that was started with it is left
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec

from hiresort import callback_secret, catalogue
from hiresort.addresses import Part, Run, read_run
from hiresort.deadlines import until
from hiresort.local import ports, processes
from hiresort.local.jars import cache_folder
from hiresort.local.kafka import LocalKafka, LocalKafkaError
from hiresort.local.locks import exclusive
from hiresort.local.parts import PORTS, STARTED_AFTER_KAFKA, STOPPED, Site
from hiresort.local.processes import Process
from topics.admin import AdminError, apply

READY_S = 90.0
STOP_S = 20.0

Tell = Callable[[str], None]


class LocalRunError(click.ClickException):
    """A part could not be started."""

    exit_code = 2


@dataclass(frozen=True)
class Status:
    """One part as it is now."""

    name: str
    pid: int | None
    port: int | None
    alive: bool
    ready: bool


class Supervisor:
    """The local run below `folder`. `tell` is given a line for each step.

    Every process is noted in run.json as soon as it is there, with its birth, so that another
    command finds it and never takes another process for it.
    """

    def __init__(self, folder: Path, tell: Tell) -> None:
        self._folder = folder.absolute()
        self._run_file = self._folder / "run.json"
        self._tell = tell
        self._run = Run()

    def up(self) -> Run:
        """Start what does not run, wait until everything is ready, and return the run.

        Raises LocalRunError after stopping what this call has started.
        """
        with self._mine(), self._alone_on_this_machine():
            site = self._settle()
            begun: list[str] = []
            try:
                self._start_kafka(site, begun)
                self._fill_kafka(site)
                self._keep_secret(site)
                for name in STARTED_AFTER_KAFKA:
                    self._start(site, name, begun)
                self._wait_until_ready(site)
            except BaseException:
                self._stop(begun)
                raise
            return self._run

    def down(self) -> None:
        """Stop what was started and still runs; nothing else is touched."""
        if self._run_file.exists():
            with self._mine():
                self._stop(list(self._run.parts))

    def clean(self) -> None:
        """Stop everything and remove its folder, data and all."""
        if self._folder.exists():
            with self._mine():
                self._stop(list(self._run.parts))
                shutil.rmtree(self._folder)

    def status(self) -> list[Status]:
        """Look at every part."""
        self._run = read_run(self._run_file)
        if not self._run.parts:
            return []
        site = self._site()
        rows = []
        for name, ready in site.readiness().items():
            part = self._run.parts.get(name, Part())
            alive = self._process(name) is not None
            rows.append(Status(name, part.pid, part.port, alive, alive and ready(part)))
        return rows

    @contextlib.contextmanager
    def _mine(self) -> Iterator[None]:
        def waiting() -> None:
            self._tell("Another hiresort command works here; waiting for it.")

        with exclusive(self._folder / "lock", waiting):
            self._run = read_run(self._run_file)
            yield

    @contextlib.contextmanager
    def _alone_on_this_machine(self) -> Iterator[None]:
        """Keep two clones from choosing the same free ports."""

        def waiting() -> None:
            self._tell("Another clone is being started on this machine; waiting for it.")

        with exclusive(cache_folder() / "starting.lock", waiting):
            yield

    def _settle(self) -> Site:
        """Choose the ports: those of what runs, else as before, else the first free ones."""
        kept = {
            name: part.port
            for name, part in self._run.parts.items()
            if part.port is not None and self._process(name)
        }
        for name, default in PORTS.items():
            before = self._run.parts.get(name, Part()).port
            if name not in kept:
                wanted = before if before is not None and ports.is_free(before) else default
                kept[name] = ports.first_free(wanted, frozenset(kept.values()))
        site = Site(self._folder, kept)
        self._save(
            addresses=site.addresses,
            parts={
                name: msgspec.structs.replace(
                    self._run.parts.get(name, Part()), port=kept.get(name)
                )
                for name in ("kafka", *STARTED_AFTER_KAFKA)
            },
        )
        return site

    def _site(self) -> Site:
        known = {name: part.port for name, part in self._run.parts.items() if part.port is not None}
        return Site(self._folder, PORTS | known)

    def _start_kafka(self, site: Site, begun: list[str]) -> None:
        if self._process("kafka"):
            return
        self._tell("Starting Kafka")

        def spawned(process: Process) -> None:
            begun.append("kafka")
            self._change("kafka", pid=process.pid, birth=process.birth)

        kafka = LocalKafka(self._folder / "kafka", site.ports["kafka"], log=site.log("kafka"))
        try:
            kafka.start(spawned)
        except LocalKafkaError as error:
            raise LocalRunError(str(error)) from error

    def _fill_kafka(self, site: Site) -> None:
        bootstrap = site.addresses["HIRESORT_BOOTSTRAP"]
        try:
            created = apply(bootstrap)
        except AdminError as error:
            raise LocalRunError(str(error)) from error
        if created:
            self._tell(f"Created {len(created)} topics")
        if not catalogue.on_sale(bootstrap):
            catalogue.load(bootstrap, catalogue.read())
            self._tell("Loaded the default catalogue")

    def _keep_secret(self, site: Site) -> None:
        try:
            callback_secret.keep_in(site.callback_secret)
        except OSError as error:
            raise LocalRunError(f"{_short(site.callback_secret)}: {error.strerror}") from error

    def _start(self, site: Site, name: str, begun: list[str]) -> None:
        """Start a part unless it runs and was told where the others are now."""
        environment = site.environment(name)
        running = self._process(name)
        if running and self._run.parts[name].environment == environment:
            return
        if running:
            self._stop([name])
        self._tell(f"Starting {name}")
        # What the user exports for faust is not meant for these.
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("F_")}
        log = site.log(name)
        start = log.stat().st_size if log.exists() else 0
        process = processes.spawn(
            site.command(name), log, inherited | environment | {"PYTHONUNBUFFERED": "1"}
        )
        begun.append(name)
        self._change(
            name,
            pid=process.pid,
            birth=process.birth,
            environment=environment,
            log_start=start,
        )

    def _wait_until_ready(self, site: Site) -> None:
        waiting = site.readiness()

        def over() -> bool:
            for name in self._run.parts:
                if self._process(name) is None:
                    raise LocalRunError(self._with_log(site, name, "ended while it was started"))
            for name, ready in list(waiting.items()):
                if ready(self._run.parts[name]):
                    del waiting[name]
            return not waiting

        if not until(over, READY_S):
            late = next(iter(waiting))
            raise LocalRunError(self._with_log(site, late, f"was not ready within {READY_S:.0f} s"))

    def _with_log(self, site: Site, name: str, what: str) -> str:
        log = site.log(name)
        return f"{name} {what}; the last lines of {_short(log)}:\n{processes.last_lines(log)}"

    def _stop(self, names: list[str]) -> None:
        """Stop those of these parts that run, in the order in which nobody loses another."""
        for stage in STOPPED:
            running = {name: self._process(name) for name in stage if name in names}
            with ThreadPoolExecutor(len(stage)) as pool:
                ends = {
                    name: pool.submit(process.stop, STOP_S)
                    for name, process in running.items()
                    if process
                }
            for name, end in ends.items():
                self._tell(f"Stopped {name}" + ("" if end.result() else ", by force"))
            for name in running:
                self._change(name, pid=None, birth=None, environment={}, log_start=0)

    def _process(self, name: str) -> Process | None:
        """Return a part's process if it still runs."""
        part = self._run.parts.get(name, Part())
        if part.pid is None or part.birth is None:
            return None
        process = Process(part.pid, part.birth)
        return process if process.alive() else None

    def _change(self, name: str, **changes: object) -> None:
        part = msgspec.structs.replace(self._run.parts.get(name, Part()), **changes)
        self._save(parts=self._run.parts | {name: part})

    def _save(self, **changes: object) -> None:
        """Write run.json anew, whole or not at all."""
        self._run = msgspec.structs.replace(self._run, **changes)
        staged = self._run_file.with_suffix(".new")
        staged.write_bytes(msgspec.json.format(msgspec.json.encode(self._run), indent=2))
        staged.replace(self._run_file)


def _short(path: Path) -> Path:
    """Return a path as one would type it here."""
    with contextlib.suppress(ValueError):
        return path.relative_to(Path.cwd())
    return path
