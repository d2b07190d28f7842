"""`hiresort topics`: the catalogue's topics and those of a cluster."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from hiresort.addresses import bootstrap_option
from topics.admin import AdminError, Difference, check
from topics.admin import apply as create_missing
from topics.catalog import TOPICS

DIFFERENT = 1
"""Exit status when the cluster is not as the catalogue wants it."""


class CannotAsk(click.ClickException):
    """Kafka is away or refuses; the message says what to do."""

    exit_code = 2


@click.group()
def topics() -> None:
    """Create, check and list the topics."""


@topics.command()
@click.option(
    "--replication-factor",
    type=click.IntRange(1, 32767),
    default=1,
    show_default=True,
    help="Copies of each partition.",
)
@bootstrap_option
@click.pass_context
def apply(context: click.Context, bootstrap: str, replication_factor: int) -> None:
    """Create the topics that are missing.

    What is there already stays as it is: how it differs is told, with exit status 1.
    """
    with _clearly():
        created = create_missing(bootstrap, replication_factor=replication_factor)
        differences = check(bootstrap)
    for name in created:
        click.echo(f"created {name}")
    if not created:
        click.echo("nothing to create")
    _tell(context, differences)


@topics.command("check")
@bootstrap_option
@click.pass_context
def check_topics(context: click.Context, bootstrap: str) -> None:
    """Tell how the cluster's topics differ from the catalogue, with exit status 1 if they do."""
    with _clearly():
        differences = check(bootstrap)
    if not differences:
        click.echo(f"all {len(TOPICS)} topics are as the catalogue wants them")
    _tell(context, differences)


@topics.command("list")
def list_topics() -> None:
    """Show each topic of the catalogue: who writes it, who reads it, what it holds."""
    width = max(len(topic.name) for topic in TOPICS)
    for topic in TOPICS:
        kind = "compacted" if topic.compacted else "log"
        records = ", ".join(record.__name__ for record in topic.records) or "any record"
        readers = ", ".join(topic.readers) or "nobody else"
        click.echo(f"{topic.name:<{width}}  {topic.partitions} partitions, {kind}, by {topic.key}")
        click.echo(f"{'':<{width}}  {records}: {', '.join(topic.writers)} -> {readers}")


def _tell(context: click.Context, differences: list[Difference]) -> None:
    for difference in differences:
        click.echo(str(difference))
    if differences:
        context.exit(DIFFERENT)


@contextmanager
def _clearly() -> Iterator[None]:
    try:
        yield
    except AdminError as error:
        raise CannotAsk(str(error)) from error
