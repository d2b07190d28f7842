"""How Kafka is reached, from a file: TLS, SASL and whatever else librdkafka lets tune.

A file and not the URL, so that no password stands in a process list, an environment or a log.
"""

import logging
import stat
from collections.abc import Mapping
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from .errors import EngineError

OWNED = frozenset(
    {
        *("acks", "auto.commit.enable", "auto.commit.interval.ms", "auto.offset.reset"),
        *("bootstrap.servers", "client.id", "enable.auto.commit", "enable.auto.offset.store"),
        *("enable.gapless.guarantee", "enable.idempotence", "enable.partition.eof", "group.id"),
        *("group.instance.id", "group.protocol", "group.protocol.type", "group.remote.assignor"),
        *("heartbeat.interval.ms", "isolation.level", "max.in.flight", "message.max.bytes"),
        *("max.in.flight.requests.per.connection", "message.send.max.retries", "retries"),
        *("metadata.broker.list", "partition.assignment.strategy", "partitioner"),
        *("request.required.acks", "session.timeout.ms", "transaction.timeout.ms"),
        *("transactional.id",),
    }
)
"""What exactly once, and who holds what, depend on."""

SECRET = ("password", "secret", ".key.pem")
"""How the names of properties end whose values nobody else may read."""

_silent = logging.getLogger(f"{__name__}.librdkafka")
_silent.disabled = True


def read(path: Path) -> Mapping[str, str]:
    """The properties in a file: `name=value` a line; `#` begins a comment line.

    Raises EngineError in one line, that never holds a value.
    """
    try:
        text = path.read_text(encoding="utf-8")
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as exc:
        raise EngineError(
            f"{path}, the config= of the broker's URL, cannot be read: {_why(exc)}"
        ) from None
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, sign, value = (part.strip() for part in line.partition("="))
        if not sign or not name:
            raise EngineError(f"{path}, line {number}: not name=value")
        if name in OWNED or name.endswith("_cb"):
            raise EngineError(f"{path}, line {number}: {name} is the engine's own: leave it out")
        if name in found:
            raise EngineError(f"{path}, line {number}: {name} stands there twice")
        found[name] = value
    if mode & stat.S_IROTH and any(name.endswith(SECRET) for name in found):
        # Refused: a warning is read by nobody, and one command mends it. A group may read it, as
        # that is how Kubernetes hands a secret to whoever is not root.
        raise EngineError(f"{path} holds a password and everybody can read it: chmod o= {path}")
    _check(path, found)
    return found


def _check(path: Path, found: Mapping[str, str]) -> None:
    """Have librdkafka look at it, without an address to connect to."""
    try:
        AdminClient(dict(found), logger=_silent)
    except KafkaException as exc:
        raise EngineError(f"{path}: {exc.args[0].str()}") from None
    except (TypeError, ValueError) as exc:
        raise EngineError(f"{path}: {exc}") from None


def _why(exc: OSError | UnicodeDecodeError) -> str:
    return exc.strerror or "" if isinstance(exc, OSError) else "it is not UTF-8"
