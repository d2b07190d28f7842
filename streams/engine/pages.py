"""The worker's pages: is it alive and ready, what it counts, the rows that it holds."""

import io
from typing import Any

import msgspec
from faust import web
from faust.web.exceptions import NotFound, ValidationError
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from .metrics import Metrics
from .router import key_of

ROWS = 100
MOST_ROWS = 1000
"""Rows that one answer holds: reading them holds the event loop up."""

worker = web.Blueprint("worker")
tables = web.Blueprint("tables")
router = web.Blueprint("router")
assignment = web.Blueprint("assignment")
stats = web.Blueprint("stats")
graph = web.Blueprint("graph")


class Page(web.View):
    """A page of the worker's own."""

    app: Any  # Faust's type knows nothing of a fetcher

    def answer(self, value: Any, status: int = 200) -> Any:
        """JSON of anything that rows are made of."""
        body = msgspec.json.encode(value, enc_hook=_plain)
        return self.web.bytes(body, content_type="application/json", status=status)

    def table(self, name: str) -> Any:
        """A table by its name. Raises NotFound."""
        found = self.app.tables.get(name)
        if found is None:
            raise NotFound("no such table", table=name, tables=sorted(self.app.tables))
        return found


@worker.route("/", name="index")
class Index(Page):
    """The pages that there are."""

    async def get(self, request: Any) -> Any:
        """Their paths."""
        return self.answer({"app": self.app.conf.id, "pages": sorted(self.web.views)})


@worker.route("/healthz", name="health")
class Health(Page):
    """Whether the worker is alive: 503 once it stops or has failed."""

    async def get(self, request: Any) -> Any:
        """Answer for a supervisor that would start it again."""
        alive = not (self.app.should_stop or self.app.crashed)
        return self.answer({"alive": alive}, 200 if alive else 503)


@worker.route("/readyz", name="ready")
class Ready(Page):
    """Whether it works: 503 before its partitions are assigned and their tables restored."""

    async def get(self, request: Any) -> Any:
        """Answer with what is missing, if anything is."""
        left = Metrics.of(self.app).levels()
        missing = []
        if self.app.should_stop or self.app.crashed:
            missing.append("it stops")
        elif not self.app.tables.recovery.completed.is_set():
            missing.append("no partitions are assigned yet, or their tables not restored")
        if left.restoring:
            missing.append(f"{left.restoring} table partitions are being restored")
        ready = not missing
        return self.answer({"ready": ready, "missing": missing}, 200 if ready else 503)


@worker.route("/metrics", name="metrics")
class PrometheusPage(Page):
    """What it counts, for Prometheus."""

    async def get(self, request: Any) -> Any:
        """Prometheus' text format."""
        return self.web.bytes(
            Metrics.of(self.app).text(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4}
        )


@stats.route("/", name="index")
class Stats(Page):
    """What it counts, and what Faust's sensors know, for people."""

    async def get(self, request: Any) -> Any:
        """Counts by name and label."""
        sensors = {f"Sensor{i}": s.asdict() for i, s in enumerate(self.app.sensors)}
        return self.answer({"engine": Metrics.of(self.app).totals(), **sensors})


@assignment.route("/", name="index")
class Assignment(Page):
    """The partitions that this worker reads."""

    async def get(self, request: Any) -> Any:
        """Their numbers by topic."""
        topics: dict[str, list[int]] = {}
        for topic, partition in sorted(self.app.consumer.assignment()):
            topics.setdefault(topic, []).append(partition)
        return self.answer({"actives": topics})


@graph.route("/", name="index")
class Graph(Page):
    """The services of this worker, as a graph for Graphviz."""

    async def get(self, request: Any) -> Any:
        """Its source in the DOT language."""
        source = io.StringIO()
        (self.app.beacon.root or self.app.beacon).as_graph().to_dot(source)
        return self.web.text(source.getvalue(), content_type="text/vnd.graphviz")


@tables.route("/", name="list")
class TableList(Page):
    """The tables."""

    async def get(self, request: Any) -> Any:
        """What each is for, and which partitions of it are held here."""
        return self.answer([_told(table) for table in self.app.tables.all()])


@tables.route("/{name}/", name="detail")
class TableDetail(Page):
    """A table, and its committed rows in key order, partition by partition.

    `?start=` is the key to begin at, `?end=` the one to end before, `?limit=` how many.
    """

    async def get(self, request: Any, name: str) -> Any:
        """The table and some of its rows; `more` says whether there are others after them."""
        table, query = self.table(name), request.query
        start, end = (key_of(table, query[b]) if b in query else None for b in ("start", "end"))
        try:
            limit = min(int(query.get("limit", ROWS)), MOST_ROWS)
        except ValueError:
            raise ValidationError("limit has to be a number") from None
        found: list[dict[str, Any]] = []
        more = False
        for key, value in table.scan_encoded(start, end):
            if len(found) >= limit:
                more = True
                break
            found.append({"key": key, "value": value})
        return self.answer({**_told(table), "rows": found, "more": more})


@tables.route("/{name}/{key}/", name="key-detail")
class TableKeyDetail(Page):
    """A committed row that is held here."""

    async def get(self, request: Any, name: str, key: str) -> Any:
        """The row's value, or 404 with the key's partition and who holds that."""
        table = self.table(name)
        found = key_of(table, key)
        if found in table:
            return self.answer(table.get(found))
        home = await self.app.router.home(table.changelog_name, table.encode_key(found))
        here = home.partition in table.shards
        raise NotFound(
            "there is no such row" if here else "this key's partition is not held here",
            table=name,
            key=key,
            partition=home.partition,
            holder=await self.app.router.holder(home),
        )


@router.route("/", name="list")
class RouterList(Page):
    """Who holds which partition of what is read."""

    async def get(self, request: Any) -> Any:
        """Names of workers by topic and partition."""
        holders = await self.app.router.holders()
        topics: dict[str, dict[int, str]] = {}
        for (topic, partition), holder in sorted(holders.items()):
            topics.setdefault(topic, {})[partition] = holder
        return self.answer(topics)


@router.route("/{name}/", name="detail")
class RouterDetail(Page):
    """Which partitions of a table are held here."""

    async def get(self, request: Any, name: str) -> Any:
        """The table with its partitions."""
        return self.answer(_told(self.table(name)))


@router.route("/{name}/{key}/", name="key-detail")
class RouterKeyDetail(Page):
    """Where a key of a table is at home."""

    async def get(self, request: Any, name: str, key: str) -> Any:
        """Its partition, and who holds that."""
        table = self.table(name)
        home = await self.app.router.home(
            table.changelog_name, table.encode_key(key_of(table, key))
        )
        return self.answer(
            {
                "partition": home.partition,
                "here": home.partition in table.shards,
                "holder": await self.app.router.holder(home),
            }
        )


def _told(table: Any) -> dict[str, Any]:
    return {"name": table.name, "help": table.help, "partitions": table.held_partitions}


def _plain(value: Any) -> Any:
    for method in ("to_representation", "asdict"):  # Faust's models
        if hasattr(value, method):
            return getattr(value, method)()
    return str(value)
