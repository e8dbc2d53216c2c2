"""Commands for the API's access keys: show them, replace one."""

from pathlib import Path
from typing import Annotated

import typer

from pipeline.api import keys
from pipeline.commands import Invocation, invocation

app = typer.Typer()
key = typer.Typer(name="key", help="The two access keys of the API: show, rotate.", no_args_is_help=True)
app.add_typer(key)


@key.command(epilog="Example: faceline key show")
def show(context: typer.Context) -> None:
    """Show both keys; they are drawn at the first call."""
    file = _file(invocation(context))
    keys.created(file)
    for number, each in enumerate(keys.read(file), start=1):
        typer.echo(f"key {number}  {each}")


@key.command(epilog="Example: faceline key rotate 1")
def rotate(context: typer.Context, number: Annotated[int, typer.Argument(min=1, max=2, help="Which key.")]) -> None:
    """Replace one key by a fresh one; the old one ends at once, the other one stays."""
    file = _file(invocation(context))
    keys.created(file)
    typer.echo(f"key {number}  {keys.rotate(file, 1 if number == 1 else 2)}")


def _file(call: Invocation) -> Path:
    return call.settings.api.keys_file or call.home.api_keys
