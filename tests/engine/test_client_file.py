"""What a file of librdkafka's properties may say, and what is told of one that is wrong."""

from pathlib import Path

import faust
import pytest

from streams.engine import client_file
from streams.engine.errors import EngineError
from streams.engine.options import Options

SECRET = "not-to-be-told"  # noqa: S105  # nobody's


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    """Return a file that holds a text."""
    file = folder / "kafka.properties"
    file.write_text(text)
    file.chmod(mode)
    return file


def test_properties_stand_line_by_line(tmp_path: Path) -> None:
    file = written(tmp_path, "# of the operators\n\n sasl.password = a=b#c \nlinger.ms=5\n")
    assert client_file.read(file) == {"sasl.password": "a=b#c", "linger.ms": "5"}


def test_the_brokers_url_names_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, f"sasl.mechanisms=PLAIN\nsasl.password={SECRET}\n")
    options = Options.of(faust.App("tiny", broker=f"rdkafka://one?config={file}"))
    assert options.client["sasl.password"] == SECRET
    assert SECRET not in repr(options)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("transactional.id=mine", r"line 1: transactional.id is the engine's own"),
        ("# so\nisolation.level=read_uncommitted", r"line 2: isolation.level is the engine's own"),
        ("error_cb=x", "the engine's own"),
        (f"sasl.password {SECRET}", r"line 1: not name=value"),
        (f"sasl.password=x\nsasl.password={SECRET}", "line 2: sasl.password stands there twice"),
        (f"sasl.pasword={SECRET}", 'No such configuration property: "sasl.pasword"'),
        ("security.protocol=TLS", "security.protocol"),
        ("security.protocol=SSL\nssl.ca.location=/nowhere", "ssl.ca.location"),
    ],
)
def test_what_is_wrong_is_told_in_a_line_without_secrets(
    tmp_path: Path, text: str, told: str
) -> None:
    with pytest.raises(EngineError, match=told) as found:
        client_file.read(written(tmp_path, text))
    assert SECRET not in str(found.value)
    assert "\n" not in str(found.value)


def test_a_password_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    text = f"sasl.password={SECRET}"
    with pytest.raises(EngineError, match="chmod o="):
        client_file.read(written(tmp_path, text, 0o644))
    assert client_file.read(written(tmp_path, text, 0o640))
    assert client_file.read(written(tmp_path, "linger.ms=5", 0o644))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="No such file"):
        client_file.read(tmp_path / "none")


def test_a_password_in_the_url_is_refused() -> None:
    with pytest.raises(EngineError, match="config=FILE"):
        Options.of(faust.App("tiny", broker=f"rdkafka://me:{SECRET}@one"))
