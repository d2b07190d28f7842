"""The engine's own settings: in the broker's URL, since Faust knows only its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import client_file
from .errors import EngineError

PROTOCOLS = ("classic", "consumer")
PRODUCERS = ("librdkafka", "direct")

NAMES = frozenset(
    {
        "config",
        "cut-through",
        "dead-letters",
        "group-protocol",
        "producer",
        "session-timeout-ms",
        "standbys",
    }
)


@dataclass(frozen=True)
class Options:
    """What `rdkafka://host:port?dead-letters=TOPIC&session-timeout-ms=N&cut-through=off` says.

    dead-letters: where failing records go, `<app id>-dead-letters` unless said.
    session-timeout-ms: how long the group waits for a worker that is gone, 6000 unless said.
    cut-through: `off` to read this worker's own outputs back from Kafka, `on` unless said: they are
        worked on at once, and committed if they came to be as foreseen.
    group-protocol: how workers share partitions. `classic`, unless said: at each rebalance they let
        go of all for a moment, and one that was killed and comes back has its own at once.
        `consumer` (KIP-848): they let go of what moves only, but Kafka keeps the partitions of one
        that was killed until its session is over, which the brokers' settings say: 45 s.
    standbys: how many other workers follow each table's partition, 0 unless said.
    producer: `direct` to write by one request for all partitions that a broker leads, `librdkafka`
        to write by librdkafka's producer. Unless said, the first where it was built and there is no
        `config`.
    config: a file of librdkafka's properties, see client_file.py: TLS and SASL.
    """

    bootstrap: str
    dead_letters: str
    session_timeout_ms: int = 6000
    cut_through: bool = True
    group_protocol: str = PROTOCOLS[0]
    standbys: int = 0
    producer: str = ""
    client: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What every client of Kafka is set to besides; it may hold passwords."""

    @classmethod
    def of(cls, app: Any) -> "Options":
        """Those of an application, from all of its broker URLs. Raises EngineError."""
        urls = app.conf.broker
        query = {name: value for url in urls for name, value in url.query.items()}
        if set(query) - NAMES:
            raise EngineError(
                f"unknown option {sorted(set(query) - NAMES)} in the broker's URL: "
                f"there are {sorted(NAMES)}"
            )
        if any(url.user or url.password for url in urls):
            raise EngineError("no name or password in the broker's URL: they go to config=FILE")
        try:
            timeout = int(query.get("session-timeout-ms", cls.session_timeout_ms))
        except ValueError:
            raise EngineError("session-timeout-ms in the broker's URL has to be a number") from None
        if query.get("cut-through", "on") not in ("on", "off"):
            raise EngineError("cut-through in the broker's URL has to be on or off")
        protocol = query.get("group-protocol", cls.group_protocol)
        if protocol not in PROTOCOLS:
            raise EngineError(f"group-protocol in the broker's URL has to be one of {PROTOCOLS}")
        if not (standbys := query.get("standbys", "0")).isdecimal():
            raise EngineError("standbys in the broker's URL has to be a number from 0 on")
        producer = query.get("producer", cls.producer)
        if producer and producer not in PRODUCERS:
            raise EngineError(f"producer in the broker's URL has to be one of {PRODUCERS}")
        return cls(
            bootstrap=",".join(_server(url) for url in urls),
            dead_letters=query.get("dead-letters", f"{app.conf.id}-dead-letters"),
            session_timeout_ms=timeout,
            cut_through=query.get("cut-through", "on") == "on",
            group_protocol=protocol,
            standbys=int(standbys),
            producer=producer,
            client=client_file.read(Path(query["config"])) if "config" in query else {},
        )


def _server(url: Any) -> str:
    host = url.host or "127.0.0.1"
    return f"[{host}]:{url.port or 9092}" if ":" in host else f"{host}:{url.port or 9092}"
