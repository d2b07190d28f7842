"""`hiresort topology`: what flows from where to where."""

import click

from hiresort.topology_drawing import as_mermaid, as_text
from hiresort.topology_svg import as_svg
from hiresort.topology_view import running

FORMS = {"text": as_text, "mermaid": as_mermaid, "svg": as_svg}


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMS)),
    default="text",
    show_default=True,
    help="Words, a Mermaid flowchart or a picture.",
)
def topology(form: str) -> None:
    """Show topics, agents and tables as the catalogue and the applications have them."""
    click.echo(FORMS[form](running()))
