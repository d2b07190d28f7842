"""What both applications are made of: the Faust app, topics and tables from the catalogue."""

import logging
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import click
import faust
from faust.serializers.codecs import Codec as FaustCodec

from schemas.codec import Codec, implementation
from schemas.records import Record
from streams import tracing
from topics.catalog import DEAD_LETTERS, PARTITIONS, Topic

logger = logging.getLogger(__name__)

LAST_PORT = 65535


class Avro(FaustCodec):
    """Faust's face of the codec: records of these types, in Confluent framing."""

    def __init__(self, *records: type[Record]) -> None:
        super().__init__()
        codec = Codec(*records)
        # in the place of methods that would do nothing but call these, some million times a minute
        self.dumps = codec.encode  # type: ignore[assignment, method-assign]
        self.loads = codec.decode  # type: ignore[assignment, method-assign]


def create_app(name: str) -> faust.App:
    """A Faust app on the cluster at HIRESORT_BOOTSTRAP, its state below HIRESORT_STATE.

    HIRESORT_BOOTSTRAP holds Kafka's host:port, several with commas, or the URL of a broker;
    HIRESORT_KAFKA_CONFIG names a file that says how it is reached: TLS, SASL.
    `faust --datadir` wins over HIRESORT_STATE. Topics are the catalogue's: the app creates none.
    Its pages are on loopback, on the first free port from HIRESORT_WEB_PORT (6066) on.
    """
    try:
        tracing.begin(name, os.environ.get(tracing.VARIABLE))
    except tracing.Untraceable as refused:
        raise click.UsageError(str(refused)) from None
    bootstrap = os.environ.get("HIRESORT_BOOTSTRAP", "127.0.0.1:9092")
    state = Path(os.environ.get("HIRESORT_STATE", ".hiresort/state")) / name
    app = faust.App(
        name,
        broker=";".join(_broker(server) for server in bootstrap.split(",")),
        datadir=os.environ.get("F_DATADIR", state),  # where the command line leaves --datadir
        topic_partitions=PARTITIONS,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_port=_web_port(os.environ.get("HIRESORT_WEB_PORT", "6066")),
    )
    app.task(_tell_codec)
    return app


def _web_port(said: str) -> int:
    if not said.isdecimal() or not 0 < int(said) <= LAST_PORT:
        raise click.UsageError(f"HIRESORT_WEB_PORT: {said!r} is no port")
    return int(said)


async def _tell_codec() -> None:
    """A task, since a worker has no log before it starts."""
    logger.info("the codec is %s", implementation())


def _broker(server: str) -> str:
    url = server if "://" in server else f"rdkafka://{server}"
    try:
        parts = urlsplit(url)
        known = bool(parts.netloc) and (parts.port is None or parts.port > 0)
    except ValueError:  # a port that is no number, or a bracket that is not closed
        known = False
    if not known:
        raise click.UsageError(f"HIRESORT_BOOTSTRAP: {server!r} is no host:port")
    if "?" in url:
        return url
    config = os.environ.get("HIRESORT_KAFKA_CONFIG")
    more = f"&config={quote(config)}" if config else ""
    return f"{url}?dead-letters={DEAD_LETTERS.name}{more}"


def topic(app: faust.App, *entries: Topic) -> Any:
    """One topic of the catalogue, or several that one agent reads in one order."""
    records = [record for entry in entries for record in entry.records]
    names = [entry.name for entry in entries]
    return app.topic(*names, key_type=str, value_serializer=Avro(*records))


def table(app: faust.App, entry: Topic, *, source: bool = False) -> Any:
    """The table whose changelog is this topic; `source`: it follows what others write there."""
    name = entry.name.removeprefix(f"{app.conf.id}-").removesuffix("-changelog")
    options = {"source": topic(app, entry)} if source else {}
    return app.Table(name, key_type=str, value_serializer=Avro(*entry.records), **options)
