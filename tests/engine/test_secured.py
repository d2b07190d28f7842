"""A real Kafka behind TLS and SASL: all that the engine connects to it is told how by a file."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import closing
from copy import copy
from pathlib import Path

import pytest

from bench.takeover import followed, shares
from hiresort.deadlines import until
from hiresort.local import ports
from hiresort.local.kafka import LocalKafka
from streams.engine import client_file
from streams.engine.reader import KafkaReader
from streams.engine.replica import ReplicaOf, Replicas
from tests.engine.workers import Counts, Worker

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

PASSWORD = "of-the-worker"  # noqa: S105  # of a Kafka that lives as long as this test
PROTOCOLS = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_SSL"
WORDS = [(f"k{number}", "good") for number in range(200)]


class SecuredKafka(LocalKafka):
    """Listens for TLS with SASL too."""

    secured = ""

    def _write_properties(self, data: Path, port: int) -> Path:
        path = super()._write_properties(data, port)
        self.secured = f"{ports.LOOPBACK}:{ports.free_port()}"
        lines = path.read_text().splitlines()
        lines = [
            f"{line},SECURED://{self.secured}"
            if line.startswith(("listeners=", "advertised.listeners="))
            else line
            for line in lines
        ]
        login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        lines += [
            f"listener.security.protocol.map={PROTOCOLS}",
            "listener.name.secured.ssl.keystore.type=PEM",
            f"listener.name.secured.ssl.keystore.location={certificate(self.folder)}",
            "listener.name.secured.sasl.enabled.mechanisms=PLAIN",
            f'listener.name.secured.plain.sasl.jaas.config={login} user_worker="{PASSWORD}";',
        ]
        path.write_text("\n".join(lines) + "\n")
        return path


def certificate(folder: Path) -> Path:
    """One for this machine that nobody else has signed, behind its key."""
    key, signed, both = folder / "key.pem", folder / "signed.pem", folder / "both.pem"
    if not both.exists():
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
                *("-subj", "/CN=localhost", "-addext", f"subjectAltName=IP:{ports.LOOPBACK}"),
                *("-keyout", str(key), "-out", str(signed)),
            ],
            check=True,
            capture_output=True,
        )
        both.write_text(key.read_text() + signed.read_text())
    return both


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """Return one that runs."""
    with SecuredKafka(tmp_path_factory.mktemp("secured")) as running:
        yield running


@pytest.fixture
def config(kafka: SecuredKafka, tmp_path: Path) -> Path:
    """Return the file that says how to connect."""
    file = tmp_path / "kafka.properties"
    file.touch(0o600)
    file.write_text(
        "# how to reach Kafka\n"
        "security.protocol=SASL_SSL\n"
        f"ssl.ca.location={kafka.folder / 'signed.pem'}\n"
        "sasl.mechanisms=PLAIN\n"
        "sasl.username=worker\n"
        f"sasl.password={PASSWORD}\n"
    )
    return file


@pytest.fixture
def counting(kafka: SecuredKafka, tmp_path: Path) -> Iterator[Counts]:
    """Return an application, reached by the test without either."""
    with closing(Counts(kafka.bootstrap, tmp_path)) as counts:
        yield counts


def behind(kafka: SecuredKafka, counting: Counts) -> Counts:
    """The same application, for workers that have to connect by TLS and SASL."""
    secured = copy(counting)
    secured.bootstrap = kafka.secured
    return secured


def test_workers_and_their_standbys_connect_by_tls_and_sasl(
    kafka: SecuredKafka, counting: Counts, config: Path
) -> None:
    options, secured = f"?standbys=1&config={config}", behind(kafka, counting)
    with Worker(secured, state="a", options=options) as victim:
        counting.produce("words", iter(WORDS))
        victim.wait_until(lambda: counting.committed() == len(WORDS))
        with Worker(secured, state="b", options=options) as heir:
            heir.wait_until(lambda: shares(victim) and shares(heir) and followed(heir))
            victim.kill()
            counting.produce("words", iter(WORDS))
            heir.wait_until(lambda: counting.committed() == 2 * len(WORDS))
            assert heir.stop() == 0
            assert not heir.says(PASSWORD)
    assert counting.values("counted") == {key: [1, 2] for key, _ in WORDS}


def test_replicas_and_readers_connect_by_the_same_file(
    kafka: SecuredKafka, counting: Counts, config: Path, tmp_path: Path
) -> None:
    client = client_file.read(config)
    counting.produce("counted", iter([("a", b"1")]))
    with closing(KafkaReader(kafka.secured, f"{counting.name}-counted", client)) as reader:
        found: list[bytes | None] = []

        def has_read() -> bool:
            found.extend(message.value() for message in reader.poll(0.1))
            return bool(found)

        assert until(has_read, 30)
        assert found == [b"1"]

    async def follow() -> bytes | None:
        of = ReplicaOf("counts", f"{counting.name}-counted", bytes)
        replicas = Replicas(kafka.secured, tmp_path / "replica", [of], client)
        await replicas.start()
        await replicas.wait_ready(30)
        row = replicas["counts"].get("a")
        await replicas.stop()
        return row

    assert asyncio.run(follow()) == b"1"


def test_a_wrong_password_ends_the_worker_with_a_line(
    kafka: SecuredKafka, counting: Counts, config: Path
) -> None:
    config.write_text(config.read_text().replace(PASSWORD, "of-somebody-else"))
    with Worker(behind(kafka, counting), options=f"?config={config}") as worker:
        assert worker.ended() == 1
        assert worker.says("Authentication failed")
        assert not worker.says("of-somebody-else")
