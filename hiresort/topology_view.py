"""What flows where: the catalogue's topics, and the agents and tables of the applications.

Nothing is declared here. Agents, what they read, and tables are those of the Faust apps; which
topics an app writes is said by the catalogue, for the app as a whole.
"""

from dataclasses import dataclass

import faust

from topics.catalog import TOPICS, Topic


@dataclass(frozen=True)
class AgentView:
    """An agent and the topics that it reads, by name."""

    name: str
    topics: tuple[str, ...]


@dataclass(frozen=True)
class TableView:
    """A table and the topic that holds its rows, by name."""

    name: str
    changelog: str


@dataclass(frozen=True)
class AppView:
    """An application."""

    name: str
    agents: tuple[AgentView, ...]
    tables: tuple[TableView, ...]


@dataclass(frozen=True)
class Topology:
    """Applications and topics; both in the order in which they are shown."""

    apps: tuple[AppView, ...]
    topics: tuple[Topic, ...]

    @property
    def flows(self) -> list[Topic]:
        """The topics that carry something from one to another: all but changelogs."""
        kept = {t.changelog for app in self.apps for t in app.tables if not self.follows(app, t)}
        return [topic for topic in self.topics if topic.name not in kept]

    def written_by(self, app: AppView) -> list[Topic]:
        """The topics, changelogs left out, that the app writes."""
        return [topic for topic in self.flows if app.name in topic.writers]

    def follows(self, app: AppView, table: TableView) -> bool:
        """Say whether others write the table's topic."""
        return any(t.name == table.changelog and app.name not in t.writers for t in self.topics)

    def outsiders(self, names: tuple[str, ...]) -> list[str]:
        """Those of the names that are no application of ours."""
        apps = {app.name for app in self.apps}
        return [name for name in names if name not in apps]

    def readers(self, table: TableView) -> list[str]:
        """Who outside of the applications reads the table, by its changelog."""
        found = [topic.readers for topic in self.topics if topic.name == table.changelog]
        return self.outsiders(found[0]) if found else []


def running() -> Topology:
    """The topology as both applications run it."""
    # They are big: whoever asks for another command need not wait for them.
    from streams.payments import app as payments  # noqa: PLC0415
    from streams.reservations import app as reservations  # noqa: PLC0415

    return Topology((app_view(reservations), app_view(payments)), TOPICS)


def app_view(app: faust.App) -> AppView:
    """See an application as Faust knows it; nothing is started."""
    agents = [AgentView(name, tuple(agent.channel.topics)) for name, agent in app.agents.items()]
    tables = [
        TableView(name, table.changelog_topic.topics[0]) for name, table in app.tables.items()
    ]
    return AppView(app.conf.id, tuple(agents), tuple(tables))
