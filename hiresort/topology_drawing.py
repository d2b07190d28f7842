"""A topology in words and as a Mermaid flowchart."""

import re

from hiresort.topology_view import Topology


def as_text(topology: Topology) -> str:
    """Tell each application with what it reads (<-) and writes (->), then each topic."""
    lines: list[str] = []
    for app in topology.apps:
        lines.append(app.name)
        lines += [f"  {agent.name} <- {', '.join(agent.topics)}" for agent in app.agents]
        for table in app.tables:
            if topology.follows(app, table):
                lines.append(f"  table {table.name} <- {table.changelog}")
            else:
                readers = ", ".join(topology.readers(table))
                lines.append(f"  table {table.name}{f' -> {readers}' if readers else ''}")
        written = ", ".join(topic.name for topic in topology.written_by(app))
        lines += [f"  -> {written}"] if written else []
    lines.append("")
    width = max((len(topic.name) for topic in topology.flows), default=0)
    for topic in topology.flows:
        lines.append(
            f"{topic.name:<{width}}  {', '.join(topic.writers)} -> {', '.join(topic.readers)}"
        )
    return "\n".join(lines)


def as_mermaid(topology: Topology) -> str:
    """Draw it for whatever renders Mermaid."""
    lines = ["flowchart LR"]
    for app in topology.apps:
        lines.append(f'  subgraph {_id("app", app.name)}["{app.name}"]')
        lines += [
            f'    {_id("agent", app.name, agent.name)}["{agent.name}"]' for agent in app.agents
        ]
        lines += [
            f'    {_id("table", app.name, table.name)}[("{table.name}")]' for table in app.tables
        ]
        lines.append("  end")
    lines += [f'  {_id("topic", topic.name)}>"{topic.name}"]' for topic in topology.flows]
    arrows = _into_topics(topology) + _out_of_topics(topology)
    outside = {name for arrow in arrows for name in arrow if name.startswith(("in_", "out_"))}
    lines += [f'  {name}(["{name.partition("_")[2]}"])' for name in sorted(outside)]
    lines += [f"  {start} --> {end}" for start, end in arrows]
    return "\n".join(lines)


def _into_topics(topology: Topology) -> list[tuple[str, str]]:
    arrows = []
    apps = {app.name for app in topology.apps}
    for topic in topology.flows:
        for writer in topic.writers:
            start = _id("app" if writer in apps else "out", writer)
            arrows.append((start, _id("topic", topic.name)))
    return arrows


def _out_of_topics(topology: Topology) -> list[tuple[str, str]]:
    arrows = []
    for app in topology.apps:
        for agent in app.agents:
            end = _id("agent", app.name, agent.name)
            arrows += [(_id("topic", name), end) for name in agent.topics]
        for table in app.tables:
            node = _id("table", app.name, table.name)
            if topology.follows(app, table):
                arrows.append((_id("topic", table.changelog), node))
            else:
                arrows += [(node, _id("in", reader)) for reader in topology.readers(table)]
    for topic in topology.flows:
        readers = topology.outsiders(topic.readers)
        arrows += [(_id("topic", topic.name), _id("in", reader)) for reader in readers]
    return arrows


def _id(*names: str) -> str:
    return "_".join(re.sub(r"\W", "_", name) for name in names)
