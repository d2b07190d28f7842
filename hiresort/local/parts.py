"""The parts of a local run: how each is started, where it listens, and when it is ready."""

import http.client
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from hiresort import groups
from hiresort.addresses import Part
from hiresort.kafka_clients import admin, answers
from topics.catalog import PAYMENTS_APP, RESERVATIONS_APP

LOOK_S = 1.0

RESTORED = b" restored "
"""What a worker's log says once its tables are as they were committed."""

FIRST_BYTES = 1 << 20
"""Of a worker's log: it says so early, and writes on for months."""

PORTS = {
    "kafka": 9092,
    "sandbox": 8090,
    "api": 8088,
    "operators": 8089,
    "reservations": 6066,
    "payments": 6067,
}
"""Where they listen unless somebody else does; the workers with their pages, the API for operators
too."""

CALLBACK_PATH = "/payments/callbacks"
"""Of the API, where the sandbox tells what became of a step."""

STARTED_AFTER_KAFKA = ("sandbox", "reservations", "payments", "api")

STOPPED = (("api", "payments", "reservations"), ("sandbox",), ("kafka",))
"""Together, one after the other: nobody loses what he still needs to end well."""


@dataclass(frozen=True)
class Site:
    """Where a local run is: its folder, and the port of each part that listens."""

    folder: Path
    ports: dict[str, int]

    @property
    def addresses(self) -> dict[str, str]:
        """Return the environment that leads to this run."""
        return {
            "HIRESORT_BOOTSTRAP": f"127.0.0.1:{self.ports['kafka']}",
            "HIRESORT_GATEWAY": f"http://127.0.0.1:{self.ports['sandbox']}",
            "HIRESORT_API": f"http://127.0.0.1:{self.ports['api']}",
            "HIRESORT_STATE": str(self.folder / "state"),
        }

    @property
    def callback_secret(self) -> Path:
        """Return the file of the secret that the sandbox signs its callbacks with."""
        return self.folder / "callback.secret"

    def environment(self, name: str) -> dict[str, str]:
        """Return what a part other than Kafka is told of this run."""
        secret = {"HIRESORT_CALLBACK_SECRET_FILE": str(self.callback_secret)}
        url = {"HIRESORT_CALLBACK_URL": self.addresses["HIRESORT_API"] + CALLBACK_PATH}
        more = {"sandbox": secret | url, "api": secret}
        return self.addresses | more.get(name, {})

    def log(self, name: str) -> Path:
        """Return the file that a part's output is appended to."""
        return self.folder / "log" / f"{name}.log"

    def command(self, name: str) -> list[str]:
        """Return the command line of a part other than Kafka."""
        worker = ("worker", "-l", "info", "--web-port", str(self.ports.get(name)))
        arguments = {
            "sandbox": (
                *("-m", "connect.sandbox", "--port", str(self.ports["sandbox"])),
                *("--ledger", str(self.folder / "sandbox.ledger")),
            ),
            "reservations": ("-m", "faust", "-A", "streams.reservations", *worker),
            "payments": ("-m", "faust", "-A", "streams.payments", *worker),
            "api": (
                *("-m", "api", "--port", str(self.ports["api"])),
                *("--operator-port", str(self.ports["operators"])),
            ),
        }
        return [sys.executable, *arguments[name]]

    def readiness(self) -> dict[str, Callable[[Part], bool]]:
        """Return, in the order of their start, what asks each part whether it is ready now."""
        client = admin(self.addresses["HIRESORT_BOOTSTRAP"])

        def worker(name: str, app: str) -> Callable[[Part], bool]:
            # Of a worker that died the group knows only after its session: its log knows at once.
            return lambda part: (
                _has_said(self.log(name), part.log_start, RESTORED)
                and groups.reads_all(client, app)
            )

        return {
            "kafka": lambda _: answers(client, LOOK_S),
            "sandbox": lambda _: _says_ok(self.addresses["HIRESORT_GATEWAY"] + "/healthz"),
            "reservations": worker("reservations", RESERVATIONS_APP),
            "payments": worker("payments", PAYMENTS_APP),
            "api": lambda _: _says_ok(self.addresses["HIRESORT_API"] + "/readyz"),
        }


def _has_said(log: Path, start: int, words: bytes) -> bool:
    try:
        with log.open("rb") as lines:
            lines.seek(start)
            return words in lines.read(FIRST_BYTES)
    except FileNotFoundError:
        return False


def _says_ok(url: str) -> bool:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=LOOK_S)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
