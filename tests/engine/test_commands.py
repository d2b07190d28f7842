"""`faust` at the command line, for an application on this engine; Kafka is away or in memory."""

import fcntl
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.engine.instance import Instance
from streams.engine.store import Store

WITHIN_S = 60.0
AWAY = "rdkafka://127.0.0.1:1"
IN_MEMORY = "memory-log://shop"

SHOP = """
    import faust

    app = faust.App("shop", broker="{broker}", topic_partitions=2, version={version})


    class Order(faust.Record):
        \"\"\"What somebody wants.\"\"\"

        item: str
        count: int = 1


    orders = app.topic("orders", key_type=str, value_type=Order)
    stock = app.Table("stock", key_type=str, value_type=int, help="What is left")
    prices = app.Table("prices", key_type=str, source=app.topic("price-list", key_type=str))


    @app.agent(orders)
    async def sell(stream):
        \"\"\"Sell it.\"\"\"
        async for order in stream:
            pass


    @app.agent(app.topic("orders", "returns"), name="watch")
    async def watch(stream):
        async for _ in stream:
            pass


    @app.command()
    async def hello():
        print("hello")

    {more}
"""

Faust = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def faust(tmp_path: Path) -> Faust:
    """Return a function that runs `faust -A shop` in a process of its own."""

    def faust(
        *arguments: str, broker: str = AWAY, version: int = 1, more: str = "", **env: str
    ) -> subprocess.CompletedProcess[str]:
        source = textwrap.dedent(SHOP).format(broker=broker, version=version, more=more)
        (tmp_path / "shop.py").write_text(source)
        path = os.pathsep.join([str(tmp_path), *(entry for entry in sys.path if entry)])
        done = subprocess.run(
            [sys.executable, "-m", "faust", "-A", "shop", *arguments],
            env=os.environ | {"PYTHONPATH": path, "F_DATADIR": str(tmp_path / "data")} | env,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        return done

    return faust


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """What a command that failed says."""
    return done.stderr.strip().splitlines()[-1]


def rows(done: subprocess.CompletedProcess[str]) -> list[dict[str, str]]:
    """What a command lists with --json."""
    assert done.returncode == 0, done.stderr
    found: list[dict[str, str]] = json.loads(done.stdout)
    return found


def keep_state(folder: Path) -> Path:
    """Leave the state of a worker that has stopped; answers its directory."""
    instance = Instance(folder)
    for partition in (0, 1):
        store = Store(instance.path / "tables" / f"stock-{partition}", "shop")
        store.write({b"key": b"row" * 1000}, {partition: 1})
        store.close()
    instance.close()
    return instance.path


# -- lists


def test_agents_are_listed_with_all_their_topics(faust: Faust) -> None:
    assert rows(faust("--json", "agents")) == [
        {"name": "@sell", "topic": "orders", "help": "Sell it."},
        {"name": "@watch", "topic": "orders,returns", "help": "<N/A>"},
    ]


def test_tables_are_listed(faust: Faust) -> None:
    found = {row["name"]: row["help"] for row in rows(faust("--json", "tables"))}
    assert found["stock"] == "What is left"
    assert set(found) == {"stock", "prices"}


def test_models_are_listed_and_shown(faust: Faust) -> None:
    assert "Order" in [row["name"] for row in rows(faust("--json", "models"))]
    fields = rows(faust("--json", "model", "shop.Order"))
    assert [(row["field"], row["type"], row["default"]) for row in fields] == [
        ("item", "str", "*"),
        ("count", "int", "1"),
    ]


def test_an_unknown_model_is_told(faust: Faust) -> None:
    done = faust("model", "Nothing")
    assert done.returncode == 2
    assert last_line(done).startswith("Error: No model 'Nothing'.")


def test_a_command_of_the_applications_own_runs(faust: Faust) -> None:
    done = faust("hello")
    assert (done.returncode, done.stdout) == (0, "hello\n")


# -- send


@pytest.mark.parametrize("entity", ["orders", "@sell", "@shop.sell"])
def test_send_tells_where_it_went(faust: Faust, entity: str) -> None:
    done = faust("send", entity, '{"item": "tea"}', "-k", "anna", broker=IN_MEMORY)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["topic"], told["offset"]) == ("orders", 0)


def test_send_repeats(faust: Faust) -> None:
    done = faust("send", "orders", "{}", "--repeat", "3", broker=IN_MEMORY)
    offsets = [json.loads(line)["offset"] for line in done.stdout.splitlines()]
    assert offsets == [0, 1, 2]


def test_send_names_the_agents_that_there_are(faust: Faust) -> None:
    done = faust("send", "@nobody", "{}", broker=IN_MEMORY)
    assert done.returncode == 2
    assert last_line(done) == "Error: no agent @nobody: there are @shop.sell, @watch"


def test_send_to_an_agent_of_several_topics_asks_which(faust: Faust) -> None:
    done = faust("send", "@watch", "{}", broker=IN_MEMORY)
    assert done.returncode == 2
    assert last_line(done).endswith("several topics: send to one of orders, returns")


def test_send_says_that_kafka_is_away(faust: Faust) -> None:
    done = faust("send", "orders", "{}")
    assert done.returncode == 1
    assert last_line(done).startswith("Error: no Kafka at 127.0.0.1:1: start it, or correct")
    assert len(done.stderr.splitlines()) == 1


# -- state


def test_reset_deletes_the_state_of_every_worker(faust: Faust, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    first = Instance(folder)  # so that there are two
    second = keep_state(folder)
    first.close()
    assert second == folder / "1"
    name = (second / "name").read_text()
    done = faust("reset")
    assert done.returncode == 0, done.stderr
    assert not list(folder.rglob("tables/*"))
    assert (second / "name").read_text() == name
    assert f"Removed {second / 'tables'}: 2 table partitions, " in done.stdout


def test_reset_says_what_it_leaves(faust: Faust) -> None:
    done = faust("reset")
    assert done.returncode == 0
    assert done.stdout.startswith("Nothing to remove: ")
    assert "--bootstrap-server 127.0.0.1:1 --group shop" in done.stdout
    assert "\n  shop-stock-changelog\n" in done.stdout  # and not the topic that prices follow


def test_reset_refuses_while_a_worker_runs(faust: Faust, tmp_path: Path) -> None:
    path = keep_state(tmp_path / "data")
    with (path / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = faust("reset")
    assert done.returncode == 1
    assert last_line(done) == f"Error: a worker runs in {path}: stop it first"
    assert list(path.rglob("stock-0"))


def test_clean_versions_deletes_directories_of_older_versions(faust: Faust, tmp_path: Path) -> None:
    for version in (1, 2):
        (tmp_path / "data" / f"v{version}").mkdir(parents=True)
    done = faust("clean-versions", version=2)
    assert done.returncode == 0
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["v2"]
    done = faust("clean-versions", version=2)
    assert (done.returncode, done.stdout) == (
        0,
        f"Nothing to remove: {tmp_path / 'data'} holds no older version.\n",
    )


# -- the others


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_written_for_a_shell(faust: Faust, shell: str) -> None:
    done = faust("completion", SHELL=f"/bin/{shell}")
    assert done.returncode == 0
    assert "_FAUST_COMPLETE" in done.stdout


def test_completion_completes() -> None:
    words = {"_FAUST_COMPLETE": "bash_complete", "COMP_WORDS": "faust re", "COMP_CWORD": "1"}
    done = subprocess.run(
        [Path(sys.executable).with_name("faust")],
        env=os.environ | words,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert done.stdout == "plain,reset\n"


def test_completion_names_the_shells_that_it_knows(faust: Faust) -> None:
    done = faust("completion", SHELL="/bin/other")
    assert done.returncode == 2
    assert last_line(done).endswith("no completion for other: set SHELL to one of bash, zsh, fish")


def test_livecheck_is_refused(faust: Faust) -> None:
    done = faust("livecheck")
    assert done.returncode == 2
    assert last_line(done).startswith("Error: LiveCheck is not supported: test the application")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (
            'app = faust.App("shop", broker="rdkafka://", consumer_auto_offset_reset="latest")',
            "the setting consumer_auto_offset_reset is not supported: topics are read from their",
        ),
        (
            "@app.on_produce_message.connect\ndef mark(*_, **__): pass",
            "the signal on_produce_message is not supported: give send() the headers",
        ),
        ('app.SetTable("guests")', "table guests: only app.Table() is supported"),
    ],
)
def test_what_would_have_no_effect_is_refused(faust: Faust, more: str, told: str) -> None:
    done = faust("worker", more=more)
    assert done.returncode == 2
    assert last_line(done).startswith(f"Error: {told}")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "no Kafka at 127.0.0.1:1: start it, or correct the address"),
        (("--web-bind", "192.0.2.1"), "web server on 192.0.2.1:6066: "),
    ],
)
def test_a_worker_that_cannot_start_says_why_in_a_line(
    faust: Faust, arguments: tuple[str, ...], told: str
) -> None:
    done = faust("worker", *arguments)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if told in line]
    assert "[CRITICAL]" in line or line.startswith(told)
