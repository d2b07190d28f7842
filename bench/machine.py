"""On what it is measured: machine, interpreters, versions. No host's name, no path."""

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.building import DEBIANS_PYTHON, worker_python
from bench.peers import java
from bench.places import BENCH, ROOT
from hiresort.local import jars

GIB_IN_KIB = 1 << 20

PACKAGES = ("confluent-kafka", "faust-streaming", "rocksdict", "msgspec", "fastavro", "Cython")

ASK_A_PYTHON = """
import json, platform, sysconfig, timeit
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
def of(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None
try:
    import confluent_kafka
    librdkafka = confluent_kafka.libversion()[0]
except ImportError:
    librdkafka = None
import schemas
compiled = sorted(file.name.split(".")[0] for file in Path(schemas.__path__[0]).glob("*.so"))
def spin():
    total = 0
    for number in range(1_000_000):
        total += number & 7
print(json.dumps({
    "python": platform.python_version(),
    "optimised": "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or ""),
    "loop_ms": round(min(timeit.repeat(spin, number=1, repeat=7)) * 1000, 1),
    "librdkafka": librdkafka,
    "compiled": compiled,
    "packages": {name: of(name) for name in %r},
}))
"""


def described() -> dict[str, Any]:
    """The machine."""
    processors = _fields("/proc/cpuinfo")
    return {
        "cpu": processors.get("model name", platform.machine()),
        "cores": os.cpu_count(),
        "memory_gib": round(int(_fields("/proc/meminfo")["MemTotal"].split()[0]) / GIB_IN_KIB, 1),
        "system": f"{_distribution()}, Linux {platform.release().split('-')[0]}",
    }


def versions(python: Path | None = None) -> dict[str, Any]:
    """What runs; `python`: the interpreter of our workers."""
    libraries = (BENCH / "kafka_streams/target/lib").glob("*.jar")
    found = {match[1]: match[2] for jar in libraries if (match := _JAR.match(jar.name))}
    return {
        "commit": _commit(),
        "kafka": jars.VERSION,
        "jvm": _jvm(),
        "kafka_streams": found.get("kafka-streams"),
        "rocksdb_of_kafka_streams": found.get("rocksdbjni"),
        "hiresort": _of_python(python or Path(sys.executable)),
        "quix_streams": _pinned("quix_streams", "quixstreams"),
        "stock_faust": _pinned("stock_faust", "faust-streaming"),
    }


_JAR = re.compile(r"([a-z-]+)-(\d[\w.]*)\.jar")


def _of_python(python: Path) -> dict[str, Any]:
    done = _output(str(python), "-c", ASK_A_PYTHON % (PACKAGES,))
    found: dict[str, Any] = json.loads(done)
    found["build"] = "its own"
    if worker_python() == DEBIANS_PYTHON:
        # Debian's rules ask for the optimisations otherwise than by that option
        found |= {"optimised": True, "build": "Debian's"}
    return found


def _jvm() -> str:
    told = subprocess.run([java(), "-version"], capture_output=True, text=True, check=False)
    return " ".join(line.strip() for line in told.stderr.splitlines()[1:2])


def _pinned(folder: str, name: str) -> str:
    text = (BENCH / folder / "requirements.txt").read_text()
    match = re.search(rf"^{name}==(\S+)", text, re.MULTILINE)
    return match[1] if match else "?"


def _commit() -> str:
    """The commit that was measured, and whether it was changed since."""
    commit = _output("git", "-C", str(ROOT), "rev-parse", "--short=10", "HEAD")
    changed = _output("git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no")
    return commit + (" with changes" if changed else "")


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _fields(file: str) -> dict[str, str]:
    """`name: value` of each line, the first of each name."""
    found: dict[str, str] = {}
    for line in Path(file).read_text().splitlines():
        name, colon, value = line.partition(":")
        if colon:
            found.setdefault(name.strip(), value.strip())
    return found


def _distribution() -> str:
    return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
