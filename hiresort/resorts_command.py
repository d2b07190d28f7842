"""`hiresort resorts`: what is on sale."""

from pathlib import Path

import click

from hiresort import catalogue
from hiresort.addresses import bootstrap_option

FOLLOWED_S = 15.0


@click.group()
def resorts() -> None:
    """Load and list the resorts on sale."""


@resorts.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--if-empty", is_flag=True, help="Do nothing when something is on sale already.")
@bootstrap_option
def load(file: Path | None, bootstrap: str, *, if_empty: bool) -> None:
    """Put the resorts of FILE on sale, those of the default catalogue without one.

    FILE is JSON: a list of resorts. One with the id of a resort on sale takes its place; those
    that FILE does not name stay as they are.
    """
    read = catalogue.read(file)
    if if_empty and catalogue.on_sale(bootstrap):
        return
    ends = catalogue.load(bootstrap, read)
    names = ", ".join(each.resort_id for each in read)
    click.echo(f"{len(read)} on sale: {names}")
    if not catalogue.followed(bootstrap, ends, FOLLOWED_S):
        click.echo(
            f"The reservations app has not read them within {FOLLOWED_S:.0f} s; it will.", err=True
        )


@resorts.command("list")
@bootstrap_option
def list_resorts(bootstrap: str) -> None:
    """Show each resort on sale with its room types; * is the default one."""
    for resort in catalogue.on_sale(bootstrap):
        click.echo(f"{resort.resort_id}  {resort.name}, {resort.region}, {resort.currency}")
        for room in resort.room_types:
            mark = "*" if room.room_type == resort.default_room_type else " "
            click.echo(
                f"  {mark} {room.room_type:<12} {room.price:>10} a night, sleeps {room.sleeps},"
                f" {room.capacity} rooms"
            )
