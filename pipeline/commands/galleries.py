"""Commands for collections: make one, list them, forget one with everybody in it."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pipeline.commands import Invocation, invocation
from pipeline.commands.asking import asking
from pipeline.operations import collections
from pipeline.records import Operation

app = typer.Typer(name="collection", help="The collections of persons: add, list, delete.", no_args_is_help=True)
console = Console(highlight=False)

Which = Annotated[str, typer.Argument(metavar="COLLECTION", help="ID, or KIND/ID such as persongroup/staff.")]


@app.command(epilog='Example: faceline collection add staff --name "Staff of the house"')
def add(
    context: typer.Context,
    which: Which,
    name: Annotated[str | None, typer.Option(help="What to call it; the id, if nothing is said.")] = None,
) -> None:
    """Create a collection for templates of the settings' model."""
    scope = collections.scope_of(which)
    asyncio.run(_add(invocation(context), scope, name or scope.partition("/")[2]))
    console.print(f"added {scope}")


async def _add(call: Invocation, scope: str, name: str) -> None:
    async with asking(call) as client:
        recognition = None if scope.startswith("dynamicpersongroup/") else call.settings.recognition()
        await collections.add(client, scope, recognition=recognition, name=name, request_id=client.new_id())


@app.command(name="list", epilog="Example: faceline collection list")
def list_(context: typer.Context) -> None:
    """List the collections."""
    table = Table("collection", "name", "model", "persons", "created")
    for each in asyncio.run(_listed(invocation(context))):
        collection = each.collection
        created = f"{collection.created.astimezone():%Y-%m-%d %H:%M}"
        scope = f"{collection.kind}/{collection.id}"
        model = (
            "" if collection.recognition is None else f"{collection.recognition.pack}, {collection.recognition.name}"
        )
        table.add_row(scope, each.name or "(key destroyed)", model, str(each.persons), created)
    console.print(table)


async def _listed(call: Invocation) -> list[collections.Shown]:
    async with asking(call) as client:
        return collections.listed(client)


@app.command(epilog="Example: faceline collection delete staff")
def delete(context: typer.Context, which: Which) -> None:
    """Forget a collection and everybody in it: their keys are destroyed, their records get tombstones."""
    scope = collections.scope_of(which)
    done = asyncio.run(_delete(invocation(context), scope))
    console.print(f"forgotten: {scope}, {done.forgotten} records, their keys are destroyed")
    console.print(f"its receipt: faceline erase receipt {done.operation_id}", soft_wrap=True)


async def _delete(call: Invocation, scope: str) -> Operation:
    async with asking(call) as client:
        return await collections.delete(client, scope, request_id=client.new_id())
