"""Kafka's jars: fetched once a machine, each checked against its SHA-256.

    JarsUnavailable   they can't be fetched now

The list kafka-jars.txt names every jar; `python -m hiresort.local.jars` writes it anew (as
`make lock` does). What was fetched stands in the user's cache folder, whole or not at all: it is
put together beside its place and renamed, under a lock that other processes wait for.
"""

import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from hiresort.local.locks import exclusive

VERSION = "4.3.1"
ENDPOINTS = (
    f"org.apache.kafka:kafka_2.13:{VERSION}",
    # Without naming it, an old one is picked.
    f"org.apache.kafka:kafka-clients:{VERSION}",
    # Kafka brings the interface of slf4j 1.7; a 2.x binding would not be seen.
    "org.slf4j:slf4j-simple:1.7.36",
)
SCOPES = (None, "compile", "runtime")
LIST = "kafka-jars.txt"
CONNECTIONS = 4

Progress = Callable[[int, int], None]
"""Called with the bytes that are here and the bytes that are needed."""


class JarsUnavailable(Exception):
    """Kafka's jars are not here and can't be fetched now."""


@dataclass(frozen=True)
class Jar:
    """One line of the list."""

    sha256: str
    size: int
    coordinate: str

    @property
    def name(self) -> str:
        """The file's name: artifacts of one list never share one."""
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


def listed() -> tuple[Jar, ...]:
    """Read the list of jars."""
    text = (files("hiresort.local") / LIST).read_text()
    rows = (line.split() for line in text.splitlines())
    return tuple(Jar(sha256, int(size), coordinate) for sha256, size, coordinate in rows)


def cache_folder() -> Path:
    """Return the folder of the user's cache, which every clone on this machine shares."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "hiresort"


def fetch(
    cache: Path,
    progress: Progress | None = None,
    *,
    jars: tuple[Jar, ...] = (),
    repository: str | None = None,
) -> Path:
    """Return the folder with the jars, after fetching what is missing.

    `jars`: those of the list when empty. `repository`: a Maven repository, Maven Central when None.
    Raises JarsUnavailable. May be called by several processes at once: one fetches, the others
    wait for it. A fetch that was broken off goes on where it stopped.
    """
    jars = jars or listed()
    mark = hashlib.sha256("".join(jar.sha256 for jar in jars).encode()).hexdigest()[:12]
    place = cache / f"kafka-{VERSION}-{mark}"
    if place.is_dir():
        return place
    try:
        with exclusive(cache / f"{place.name}.lock"):
            if not place.is_dir():
                _fetch_into(place, jars, progress or _untold, repository)
    except OSError as error:
        raise JarsUnavailable(
            f"Kafka's jars can't be fetched into {cache}: {_short(error)}; "
            "they are fetched once, with a connection to Maven Central, and kept there"
        ) from error
    return place


def _untold(_here: int, _needed: int) -> None:
    """Progress that nobody asked for."""


def _fetch_into(
    place: Path, jars: tuple[Jar, ...], progress: Progress, repository: str | None
) -> None:
    part = place.with_name(place.name + ".part")
    part.mkdir(exist_ok=True)
    missing = [jar for jar in jars if not (part / jar.name).exists()]
    needed = sum(jar.size for jar in jars)
    here = needed - sum(jar.size for jar in missing)

    def arrived(size: int) -> None:
        nonlocal here
        here += size
        progress(here, needed)

    progress(here, needed)
    maven = place.with_name(place.name + ".maven")
    # What a broken-off fetch left may be half a file.
    shutil.rmtree(maven, ignore_errors=True)
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        fetches = [
            pool.submit(_fetch_one, jar, maven, part / jar.name, arrived, repository)
            for jar in missing
        ]
        try:
            for fetched in fetches:
                fetched.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    shutil.rmtree(maven, ignore_errors=True)
    part.rename(place)


def _fetch_one(
    jar: Jar, maven: Path, place: Path, arrived: Callable[[int], None], repository: str | None
) -> None:
    """Fetch one jar and put it into its place once it is known to be the listed one."""
    # Where nothing is missing, its 0.2 s are not spent.
    from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415

    @contextlib.contextmanager
    def counted(_name: str, _size: int) -> Iterator[Callable[[int], None]]:
        yield arrived

    context = MavenContext(
        resolver=PythonResolver(progress_callback=counted),
        repo_cache=maven,
        local_repos=[],
        remote_repos={"given": repository} if repository else None,
    )
    try:
        fetched = context.create_dependency(jar.coordinate).artifact.resolve()
    except RuntimeError as error:  # jgo's way to say it
        raise OSError(f"{jar.coordinate} is in no repository") from error
    if hashlib.sha256(fetched.read_bytes()).hexdigest() != jar.sha256:
        raise OSError(f"{jar.coordinate} is not the file that is listed")
    fetched.rename(place)


def _short(error: OSError) -> str:
    """Say in a few words what the HTTP client wraps in many: the system's own, where there are."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__context__
    return str(error)


def resolved(maven: Path) -> Iterator[str]:
    """Resolve the endpoints anew and yield the lines of the list; `maven` holds what is fetched."""
    from jgo.maven import MavenContext  # noqa: PLC0415  as above

    context = MavenContext(repo_cache=maven)
    wanted = [context.create_dependency(endpoint) for endpoint in ENDPOINTS]
    inputs, others = context.resolver.resolve(wanted)
    for found in sorted(
        {str(each.artifact.component) for each in inputs + others if each.scope in SCOPES}
    ):
        content = context.create_dependency(found).artifact.resolve().read_bytes()
        yield f"{hashlib.sha256(content).hexdigest()} {len(content)} {found}"


def main() -> None:
    """Print the list of jars, resolved anew."""
    with tempfile.TemporaryDirectory(prefix="hiresort-jars-") as maven:
        for line in resolved(Path(maven)):
            sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
