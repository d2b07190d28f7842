"""The applications take their cluster and their folder from the environment."""

import logging

import click
import pytest

from schemas.codec import implementation
from streams.app import create_app
from streams.engine.memory_transport import MemoryTransport
from streams.engine.options import Options
from streams.engine.transport import Transport


@pytest.mark.parametrize(
    ("bootstrap", "servers"),
    [
        ("127.0.0.1:9092", "127.0.0.1:9092"),
        ("one:9092,two:9093", "one:9092,two:9093"),
        ("rdkafka://one:9092", "one:9092"),
    ],
)
def test_bootstrap_is_kafkas_address(
    monkeypatch: pytest.MonkeyPatch, bootstrap: str, servers: str
) -> None:
    monkeypatch.setenv("HIRESORT_BOOTSTRAP", bootstrap)
    app = create_app("some")
    assert Options.of(app) == Options(servers, "dead-letters", 6000)
    assert type(app.transport) is Transport


def test_bootstrap_may_be_another_brokers_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIRESORT_BOOTSTRAP", "memory-log://some-test")
    app = create_app("some")
    assert Options.of(app).dead_letters == "dead-letters"
    assert type(app.transport) is MemoryTransport


async def test_a_worker_says_at_start_which_codec_it_has(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HIRESORT_BOOTSTRAP", "memory-log://some-test")
    caplog.set_level(logging.INFO)
    [at_start] = create_app("some")._app_tasks
    await at_start()
    assert caplog.messages == [f"the codec is {implementation()}"]


def test_its_pages_are_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    assert create_app("some").conf.web_port == 6066
    monkeypatch.setenv("HIRESORT_WEB_PORT", "7000")
    app = create_app("some")
    assert (app.conf.web_bind, app.conf.web_port) == ("127.0.0.1", 7000)
    assert app.boot_strategy._should_enable_web()


@pytest.mark.parametrize("port", ["web", "", "0", "65536", "-1"])
def test_a_port_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("HIRESORT_WEB_PORT", port)
    with pytest.raises(click.UsageError, match=r"HIRESORT_WEB_PORT: .* is no port"):
        create_app("some")
