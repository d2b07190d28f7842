"""The commands of `faust` for applications on this engine; others keep Faust's own.

What Faust would answer with a traceback, or wait for without end, is one line and a status here.
"""

import asyncio
import logging
import os
import shutil
from pathlib import Path
from typing import Any, NoReturn

import click
from click.shell_completion import get_completion_class
from confluent_kafka import KafkaException
from faust.cli import faust as theirs
from faust.cli.base import AppCommand, cli
from mode.utils.logging import setup_logging

from .errors import EngineError
from .instance import held
from .options import Options

ANSWER_S = 10.0
"""How long a record that is sent waits for Kafka's acknowledgement."""

OFFSETS = """\
Kafka was left as it is. The group {group} goes on where it has committed; to have it read
everything again:
  kafka-consumer-groups.sh --bootstrap-server {server} --group {group} \\
      --reset-offsets --to-earliest --all-topics --execute"""

CHANGELOGS = """\
Tables are restored from their changelogs; to begin with empty ones, delete these topics and create
them again:
  {topics}"""

SHELLS = ("bash", "zsh", "fish")


class Plain:
    """A command that runs by itself, in no worker, and tells its errors in a line."""

    app: Any  # Faust's type knows nothing of what the engine puts in

    def __call__(self, *args: Any, **options: Any) -> NoReturn:
        """Run it, and exit: with status 0, 1 for a failure, 2 for a wrong use."""
        command: Any = self
        setup_logging(loglevel=command.loglevel, logfile=command.logfile)
        if not command.debug:
            # what librdkafka says of a connection, the line that ends the command says too
            logging.getLogger("streams.engine").setLevel(logging.CRITICAL)
        try:
            asyncio.run(command.execute(*command.args, *args, **{**command.kwargs, **options}))
        except click.ClickException as error:
            error.show()
            raise SystemExit(error.exit_code) from error
        except EngineError as error:
            click.ClickException(str(error)).show()
            raise SystemExit(1) from error
        raise SystemExit(0)


class agents(Plain, theirs.agents):  # noqa: N801  # the command's name
    """List agents."""

    def _maybe_topic(self, agent: Any) -> str | None:
        return ",".join(agent.get_topic_names()) or None


class models(Plain, theirs.models):  # noqa: N801  # the command's name
    """List all available models as a tabulated list."""


class model(Plain, theirs.model):  # noqa: N801  # the command's name
    """Show model detail."""


class tables(Plain, theirs.tables):  # noqa: N801  # the command's name
    """List available tables."""


class clean_versions(Plain, theirs.clean_versions):  # noqa: N801  # as above
    """Delete directories that hold the state of older versions of the application."""

    async def run(self) -> None:
        """Delete them, and say which; or that there are none."""
        folders = list(self.app.conf.find_old_versiondirs())
        self.remove_old_versiondirs()
        if not folders:
            self.say(f"Nothing to remove: {self.app.conf.datadir} holds no older version.")


class completion(Plain, AppCommand):  # noqa: N801  # the command's name
    """Output shell completion to be evaluated by the shell."""

    async def run(self) -> None:
        """Print what a shell evaluates: eval "$(faust -A app completion)"."""
        shell = Path(os.environ.get("SHELL", "")).stem
        found = get_completion_class(shell)
        if found is None:
            raise click.UsageError(
                f"no completion for {shell or 'a shell that is not named'}: "
                f"set SHELL to one of {', '.join(SHELLS)}"
            )
        self.say(found(cli, {}, "faust", "_FAUST_COMPLETE").source())


class livecheck(Plain, AppCommand):  # noqa: N801  # the command's name
    """Refused: test the application with TopologyDriver."""

    async def run(self) -> NoReturn:
        """Say so."""
        raise click.UsageError(
            "LiveCheck is not supported: test the application with TopologyDriver"
        )


class send(Plain, theirs.send):  # noqa: N801  # the command's name
    """Send a record to a topic, or to the topic of an @agent, and print where it was written."""

    async def run(self, entity: str, value: Any, *_: Any, **options: Any) -> None:
        """As Faust's, but for what it does when there is no topic, agent or Kafka."""
        topic = self.to_topic(entity)
        name = topic.get_topic_name()
        log = self.app.transport.new_log(Options.of(self.app), "send")
        await asyncio.to_thread(log.partitions, name)
        try:
            async with asyncio.timeout(ANSWER_S + options["repeat"] * options["max_latency"]):
                await super().run(entity, value, **options)
        except TimeoutError as exc:
            self.app.producer.drop()
            raise EngineError(f"Kafka has not acknowledged it within {ANSWER_S:.0f} s") from exc
        except KafkaException as exc:
            raise EngineError(f"topic {name!r}: {exc.args[0].str()}") from exc

    def to_topic(self, entity: str) -> Any:
        """A topic by its name, or an @agent by its own or its function's. Raises UsageError."""
        if not entity.startswith("@"):
            return super().to_topic(entity)
        wanted = entity[1:]
        for name, agent in self.app.agents.items():
            if wanted in (name, name.rpartition(".")[2], _path_of(agent)):
                if len(agent.get_topic_names()) > 1:
                    raise click.UsageError(
                        f"agent {entity} reads several topics: send to one of "
                        + ", ".join(agent.get_topic_names())
                    )
                return agent.channel
        there_are = ", ".join(f"@{name}" for name in sorted(self.app.agents)) or "none"
        raise click.UsageError(f"no agent {entity}: there are {there_are}")


class reset(Plain, AppCommand):  # noqa: N801  # the command's name
    """Delete the local state of all tables, of every worker that shares the data directory.

    The next start restores it from the changelogs. Workers have to be stopped. Nothing in Kafka is
    changed; how to do that is printed.
    """

    async def run(self) -> None:
        """Delete it, and say what was deleted and what was not."""
        folder = self.app.conf.datadir.absolute()
        with held(folder) as instances:
            for path in instances:
                count, size = _measured(path / "tables")
                shutil.rmtree(path / "tables", ignore_errors=True)
                self.say(f"Removed {path / 'tables'}: {count} table partitions, {_told(size)}")
        if not instances:
            self.say(f"Nothing to remove: {folder} holds no state.")
        self.say(OFFSETS.format(group=self.app.conf.id, server=Options.of(self.app).bootstrap))
        changelogs = [t.changelog_name for t in self.app.tables.all() if t.source is None]
        if changelogs:
            self.say(CHANGELOGS.format(topics=" ".join(changelogs)))


def _path_of(agent: Any) -> str:
    return f"{agent.fun.__module__}.{agent.fun.__qualname__}"


def _measured(folder: Path) -> tuple[int, int]:
    """How many stores a folder holds, and their bytes."""
    if not folder.is_dir():
        return 0, 0
    files = [file for file in folder.rglob("*") if file.is_file()]
    return sum(1 for _ in folder.iterdir()), sum(file.stat().st_size for file in files)


def _told(size: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:  # noqa: PLR2004  # of a unit there are fewer than 1000 of the one below
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
