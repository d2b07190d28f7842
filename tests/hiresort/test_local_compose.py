"""Docker users get the same parts as `make up`, and nothing that listens beyond loopback."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from hiresort.local import jars, parts
from hiresort.local.kafka import SETTINGS

FILE = Path(__file__).parents[2] / "docker-compose.yml"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """Return the services of the compose file."""
    found: dict[str, Any] = YAML(typ="safe").load(FILE)["services"]
    return found


def test_every_part_of_a_local_run_is_a_service(services: dict[str, Any]) -> None:
    assert services.keys() >= {"kafka", *parts.STARTED_AFTER_KAFKA}


def test_kafka_is_the_same_version_with_the_same_settings(services: dict[str, Any]) -> None:
    kafka = services["kafka"]
    assert kafka["image"] == f"apache/kafka:{jars.VERSION}"
    settings = {"KAFKA_" + name.replace(".", "_").upper(): text for name, text in SETTINGS.items()}
    assert settings.items() <= kafka["environment"].items()


def test_ports_are_published_on_loopback_only(services: dict[str, Any]) -> None:
    published = [port for service in services.values() for port in service.get("ports", ())]
    assert {port.split(":")[1] for port in published} == {
        str(port) for port in parts.PORTS.values()
    }
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_every_service_that_stays_is_watched(services: dict[str, Any]) -> None:
    watched = {name for name, service in services.items() if "healthcheck" in service}
    assert services.keys() - watched == {"topics", "secret", "doors"}


def test_sandbox_and_api_share_the_secret_of_the_callbacks(
    services: dict[str, Any], tmp_path: Path
) -> None:
    site = parts.Site(tmp_path, parts.PORTS)
    secret = {"HIRESORT_CALLBACK_SECRET_FILE": "/run/hiresort/callback.secret"}
    told = {"api": secret, "sandbox": site.environment("sandbox") | secret}
    for name, expected in told.items():
        assert _of_callbacks(services[name]["environment"]) == _of_callbacks(expected)
        assert "secret:/run/hiresort:ro" in services[name]["volumes"]
    assert "secret:/var/lib/hiresort" in services["secret"]["volumes"]
    assert services["secret"]["command"][-1] == "/var/lib/hiresort/callback.secret"


def _of_callbacks(environment: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in environment.items() if "CALLBACK" in name}
