"""A worker's log on a Kafka that is away for a while, or whose answers are lost."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from faust.types.tuples import TP

from hiresort.local import ports
from hiresort.local.kafka import LocalKafka
from streams.engine.errors import UnitAborted
from streams.engine.log import Output, Work
from tests.engine.elections import elect_anew
from tests.engine.log.clusters import OnKafka
from tests.engine.log.members import Member, Open
from tests.engine.log.proxy import END_TXN, Proxy

TRANSACTION_S = 2.0
"""A transaction's time-out here: long enough to be finished, short enough to be waited for."""


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalKafka, Proxy]]:
    """Return a Kafka of this module's own, and the proxy that leads to it."""
    port, told = ports.free_port(), ports.free_port()
    folder = tmp_path_factory.mktemp("proxied")
    with LocalKafka(folder, proxied=(port, told)) as kafka, Proxy(port, told) as proxy:
        yield kafka, proxy


@pytest.fixture
def proxy(
    proxied: tuple[LocalKafka, Proxy], short_transactions: Callable[[float], None]
) -> Iterator[Proxy]:
    """Return the proxy; transactions time out soon."""
    short_transactions(TRANSACTION_S)
    _, proxy = proxied
    yield proxy
    proxy.on_request = lambda _: None
    proxy.loses = proxy.drops = frozenset()
    proxy.down()
    proxy.up()


@pytest.fixture(params=["direct-classic", "librdkafka-consumer"])
def cluster(
    request: pytest.FixtureRequest, proxied: tuple[LocalKafka, Proxy], proxy: Proxy
) -> OnKafka:
    """Return the cluster: tests go there straight, workers through the proxy."""
    kafka, _ = proxied
    producer, _, protocol = request.param.partition("-")
    return OnKafka(
        kafka.bootstrap,
        protocol,
        f"{ports.LOOPBACK}:{proxy.port}",
        writes_directly=producer == "direct",
    )


class Counting:
    """A worker that counts: each unit reads a record, and writes one and a row."""

    def __init__(self, cluster: OnKafka, open_member: Open) -> None:
        self.cluster = cluster
        self.words, self.out = TP(cluster.create("words"), 0), TP(cluster.create("out"), 0)
        self.rows = TP(cluster.create("rows"), 0)
        cluster.append(self.words, *(b"word" for _ in range(100)))
        self.member: Member = open_member(self.words.topic)
        self.member.until(lambda: self.words in self.member.log.drained())
        self.done = 0

    def work(self) -> Work:
        """Return the next unit."""
        value = b"%d" % self.done
        outputs = [Output(*self.out, None, value)]
        return Work(outputs, {self.rows: {b"k": value}}, {self.words: self.done + 1})

    def commit(self) -> None:
        """Commit the next unit."""
        self.member.log.commit(self.work())
        self.done += 1

    def go_on(self) -> None:
        """Do what the engine does after an abort, until a unit is committed."""
        before = self.done
        while self.done == before:
            self.member.until(lambda: bool(self.member.held))
            self.member.log.start(self.member.log.committed(self.member.held))
            try:
                self.commit()
            except UnitAborted:
                self.member.poll()

    def assert_counted_once(self) -> None:
        """Each committed unit is there once, and no other."""
        expected = [b"%d" % i for i in range(self.done)]
        assert [seen.value for seen in self.cluster.seen(self.out)] == expected
        assert [seen.value for seen in self.cluster.seen(self.rows)] == expected
        committed = self.member.log.committed({self.words})
        assert committed == {self.words: self.done}


def later(call: Callable[[], object], seconds: float) -> threading.Timer:
    """Start a timer: an outage is nothing else than time that passes."""
    timer = threading.Timer(seconds, call)
    timer.start()
    return timer


@pytest.fixture
def counting(cluster: OnKafka, open_member: Open) -> Iterator[Counting]:
    """Return a worker that has committed two units; in the end each is there once."""
    counting = Counting(cluster, open_member)
    for _ in range(2):
        counting.commit()
    yield counting
    counting.assert_counted_once()


def test_a_short_outage_in_a_transaction_delays_it_or_aborts_it(
    counting: Counting, proxy: Proxy
) -> None:
    for _ in range(2):
        proxy.down()
        back = later(proxy.up, 0.5)
        with suppress(UnitAborted):
            counting.commit()
        back.join()
        counting.go_on()


def test_an_outage_without_a_transaction_is_waited_for(
    counting: Counting, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    proxy.down()
    counting.member.until(lambda: "does not answer, waiting for it" in caplog.text)
    proxy.up()
    counting.member.until(lambda: "is back" in caplog.text)
    counting.go_on()
    assert caplog.text.count("does not answer") == 1


@pytest.mark.timeout(120)  # it would wait for a quarter of an hour
def test_a_leader_that_is_elected_anew_is_asked_for_offsets(
    proxied: tuple[LocalKafka, Proxy], counting: Counting
) -> None:
    kafka, _ = proxied
    log = counting.member.log
    assert log.committed({counting.out}) == {counting.out: 0}
    elect_anew(kafka)
    assert log.committed({counting.out}) == {counting.out: 0}


def test_an_outage_that_outlasts_a_transaction_aborts_it(counting: Counting, proxy: Proxy) -> None:
    proxy.down()
    back = later(proxy.up, TRANSACTION_S + 1)
    with pytest.raises(UnitAborted):
        counting.commit()
    back.join()
    counting.go_on()
    counting.commit()


def test_a_commit_that_kafka_got_and_nobody_heard_of_has_happened(
    counting: Counting, proxy: Proxy
) -> None:
    proxy.loses = frozenset({END_TXN})
    ended = threading.Event()

    def cut(api: int) -> None:
        if api == END_TXN and not ended.is_set():
            ended.set()
            # Only once it is visible is it certain that Kafka got it.
            threading.Thread(target=cut_when_visible, daemon=True).start()

    def cut_when_visible() -> None:
        while len(counting.cluster.seen(counting.out)) < counting.done + 1:
            pass
        proxy.down()
        later(proxy.up, 2 * TRANSACTION_S + 1)

    proxy.on_request = cut
    counting.commit()
    assert ended.is_set()
    proxy.loses = frozenset()
    counting.go_on()


def test_a_commit_that_never_came_to_kafka_has_not_happened(
    counting: Counting, proxy: Proxy
) -> None:
    proxy.drops = frozenset({END_TXN})
    asked = threading.Event()

    def cut(api: int) -> None:
        if api == END_TXN and not asked.is_set():
            asked.set()
            later(proxy.down, 0.2)
            later(proxy.up, 2 * TRANSACTION_S + 1)

    proxy.on_request = cut
    with pytest.raises(UnitAborted):
        counting.commit()
    assert asked.is_set()
    proxy.drops = frozenset()
    counting.go_on()
