"""Kafka's jars are fetched whole or not at all, once, and only if they are the listed ones."""

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hiresort.local import jars, ports
from hiresort.local.jars import Jar, JarsUnavailable


def jar(name: str, content: bytes) -> Jar:
    """Describe a jar as the list does."""
    return Jar(hashlib.sha256(content).hexdigest(), len(content), f"org.example:{name}:1.0")


CONTENTS = {f"org/example/{name}/1.0/{name}-1.0.jar": name.encode() * 1000 for name in ("a", "b")}
JARS = (jar("a", b"a" * 1000), jar("b", b"b" * 1000))


@dataclass
class Repository:
    """A Maven repository on loopback that notes what it was asked for."""

    url: str
    contents: dict[str, bytes]
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def repository() -> Iterator[Repository]:
    """Serve CONTENTS; a test may change what is served."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.lstrip("/")
            served.asked.append(path)
            content = served.contents.get(path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer((ports.LOOPBACK, 0), Handler)
    served = Repository(f"http://{ports.LOOPBACK}:{server.server_port}", dict(CONTENTS))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(cache: Path, repository: Repository) -> Path:
    """Fetch the two jars."""
    return jars.fetch(cache, jars=JARS, repository=repository.url)


def names(folder: Path) -> list[str]:
    """Return the names in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


def test_the_list_names_kafka_itself_and_each_file_once() -> None:
    listed = jars.listed()
    assert f"org.apache.kafka:kafka_2.13:{jars.VERSION}" in {each.coordinate for each in listed}
    assert len({each.name for each in listed}) == len(listed)


def test_what_is_here_is_not_fetched_again(tmp_path: Path, repository: Repository) -> None:
    place = fetch(tmp_path, repository)
    asked = len(repository.asked)
    assert fetch(tmp_path, repository) == place
    assert names(place) == ["a-1.0.jar", "b-1.0.jar"]
    assert len(repository.asked) == asked


def test_progress_ends_with_all_that_was_needed(tmp_path: Path, repository: Repository) -> None:
    told: list[tuple[int, int]] = []
    jars.fetch(tmp_path, lambda *sizes: told.append(sizes), jars=JARS, repository=repository.url)
    assert told[0] == (0, 2000)
    assert told[-1] == (2000, 2000)


def test_of_several_fetches_at_once_one_fetches(tmp_path: Path, repository: Repository) -> None:
    with ThreadPoolExecutor(4) as pool:
        places = {each.result() for each in [pool.submit(fetch, tmp_path, repository)] * 4}
    assert len(places) == 1
    assert sum(path.endswith(".jar") for path in repository.asked) == len(JARS)


def test_a_fetch_that_broke_off_goes_on_where_it_stopped(
    tmp_path: Path, repository: Repository
) -> None:
    content = repository.contents.pop("org/example/b/1.0/b-1.0.jar")
    with pytest.raises(JarsUnavailable, match=r"b:1\.0 is in no repository"):
        fetch(tmp_path, repository)
    repository.contents["org/example/b/1.0/b-1.0.jar"] = content
    repository.asked.clear()
    assert names(fetch(tmp_path, repository)) == ["a-1.0.jar", "b-1.0.jar"]
    assert not [path for path in repository.asked if "a-1.0" in path]


def test_a_file_that_is_not_the_listed_one_is_refused(
    tmp_path: Path, repository: Repository
) -> None:
    repository.contents["org/example/a/1.0/a-1.0.jar"] = b"something else"
    with pytest.raises(JarsUnavailable, match=r"a:1\.0 is not the file that is listed"):
        fetch(tmp_path, repository)


def test_without_a_connection_one_line_says_what_is_needed(tmp_path: Path) -> None:
    nowhere = f"http://{ports.LOOPBACK}:{ports.free_port()}"
    with pytest.raises(JarsUnavailable) as failure:
        jars.fetch(tmp_path, jars=JARS, repository=nowhere)
    assert "\n" not in str(failure.value)
    assert "Connection refused" in str(failure.value)
    assert "a connection to Maven Central" in str(failure.value)


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(JarsUnavailable, match="can't be fetched into"):
        jars.fetch(tmp_path / "cache", jars=JARS)
