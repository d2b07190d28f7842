"""Real workers on a real Kafka: counts_app.py in processes of its own, and what it wrote."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from hiresort.deadlines import until

PARTITIONS = 4
TIMEOUT_S = 60.0
"""Much longer than anything takes here: what is slower hangs."""


class Counts:
    """One application of its own name, on topics of its own."""

    def __init__(self, bootstrap: str, folder: Path, *, prices: int = PARTITIONS) -> None:
        self.name = f"counts-{uuid.uuid4().hex[:8]}"
        self.bootstrap, self.folder = bootstrap, folder
        # asks for the group's offsets and is no member of it
        self.group = Consumer({"bootstrap.servers": bootstrap, "group.id": self.name})
        counts = {
            "words": PARTITIONS,
            "counted": PARTITIONS,
            "prices": prices,
            "counts-changelog": PARTITIONS,
            "dead-letters": PARTITIONS,
        }
        admin = AdminClient({"bootstrap.servers": bootstrap})
        made = admin.create_topics(
            [NewTopic(f"{self.name}-{topic}", n, 1) for topic, n in counts.items()]
        )
        for future in made.values():
            future.result(TIMEOUT_S)

    def produce(self, topic: str, records: Iterator[tuple[str, str | bytes]]) -> None:
        """Write records, placed by their keys as Kafka's Java client does."""
        producer = Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "partitioner": "murmur2_random",
                "linger.ms": 5,
                "enable.idempotence": True,  # or a second try changes the order
                "message.max.bytes": 2_000_000,
            }
        )
        for key, value in records:
            producer.produce(f"{self.name}-{topic}", value, key)
            producer.poll(0)
        assert producer.flush(TIMEOUT_S) == 0

    def read(self, topic: str) -> list[Message]:
        """All committed records, partition by partition."""
        reader = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": f"{self.name}-test",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )
        reader.assign([TopicPartition(f"{self.name}-{topic}", n, 0) for n in range(PARTITIONS)])
        found: list[Message] = []
        ends = 0
        deadline = time.monotonic() + TIMEOUT_S
        while ends < PARTITIONS and time.monotonic() < deadline:
            for message in reader.consume(5000, 0.5):
                if message.error() is None:
                    found.append(message)
                else:
                    ends += message.error().code() == KafkaError._PARTITION_EOF
        reader.close()
        assert ends == PARTITIONS, f"{topic} was not read to its end within {TIMEOUT_S} s"
        return sorted(found, key=lambda m: (m.partition(), m.offset()))

    def committed(self, topic: str = "words") -> int:
        """The sum of the group's offsets in a topic; 0 while nobody keeps them yet."""
        asked = [TopicPartition(f"{self.name}-{topic}", n) for n in range(PARTITIONS)]
        with suppress(KafkaException):
            return sum(max(0, p.offset) for p in self.group.committed(asked, TIMEOUT_S))
        return 0

    def close(self) -> None:
        """Disconnect."""
        self.group.close()

    def values(self, topic: str) -> dict[str, list[int]]:
        """The values of each key, in order."""
        found: dict[str, list[int]] = {}
        for message in self.read(topic):
            found.setdefault((message.key() or b"").decode(), []).append(
                json.loads(message.value() or b"null")
            )
        return found


class Worker:
    """A worker's process; its state outlives it."""

    def __init__(
        self,
        counts: Counts,
        *,
        state: str = "state",
        options: str = "",
        app: str = "counts_app",
        **env: str,
    ) -> None:
        self.log = counts.folder / f"worker-{time.monotonic_ns()}.log"
        self.state = counts.folder / state
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "faust", "-A", f"tests.engine.{app}"),
                    *("--datadir", str(self.state), "worker", "--without-web", "-l", "info"),
                ],
                env={
                    **os.environ,
                    **env,
                    "COUNTS_APP": counts.name,
                    "COUNTS_BROKER": f"rdkafka://{counts.bootstrap}{options}",
                    "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                },
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._process.kill()
        self._process.wait(TIMEOUT_S)

    def stop(self) -> int:
        """End it as an operator does; answers its exit status."""
        self.tell(signal.SIGTERM)
        return self.ended()

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def limit(self, what: int, most: int) -> None:
        """Allow it so much of a resource from now on."""
        resource.prlimit(self._process.pid, what, (most, most))

    def ended(self) -> int:
        """Wait until it ends by itself; answers its exit status."""
        return self._process.wait(TIMEOUT_S)

    def lives(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def says(self, pattern: str) -> list[str]:
        """What its log holds of a pattern."""
        return re.findall(pattern, self.log.read_text(errors="replace"))

    def wait_until(self, condition: Callable[[], bool], within_s: float = TIMEOUT_S) -> None:
        """Wait until a condition holds. Fails with its log when it ends before, or too late."""
        held = False

        def over() -> bool:
            nonlocal held
            held = condition()
            return held or self._process.poll() is not None

        until(over, within_s)
        log = self.log.read_text(errors="replace")[-4000:]
        assert held or condition(), f"status {self._process.returncode}: {log}"

    def wait_until_ready(self) -> None:
        """Wait until its tables are restored and it works."""
        self.wait_until(lambda: bool(self.says("Ready")))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.kill()
