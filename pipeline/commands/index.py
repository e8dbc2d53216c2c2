"""Commands for the galleries' index: does it hold what lives, and nothing else? And: make it anew."""

import asyncio
from contextlib import closing

import typer
from rich.console import Console
from rich.table import Table

from pipeline.commands import Invocation, invocation
from pipeline.commands.asking import asking
from pipeline.operations import rebuilding
from pipeline.operations.index import Compared, compared
from pipeline.operations.rebuilding import Rebuilt
from pipeline.operations.waiting import all_enrolled
from pipeline.topology import ENROL

app = typer.Typer(
    name="gallery", help="The index in Milvus: compare it with the tables, or make it anew.", no_args_is_help=True
)
console = Console(highlight=False)


@app.command(epilog="Example: faceline gallery verify")
def verify(context: typer.Context) -> int:
    """Compare Milvus with the live set, template by template, in both directions. Exit 1 where they differ."""
    found = asyncio.run(_compared(invocation(context)))
    table = Table("in Milvus", "live", "indexed", "missing", "surplus")
    for each in found:
        table.add_row(each.place, *map(str, (each.live, each.indexed, each.missing, each.surplus)))
    console.print(table)
    differing = [each.place for each in found if not each.same]
    if differing:
        typer.echo(f"Milvus and the tables differ in {', '.join(differing)}", err=True)
    return 1 if differing else 0


@app.command(epilog="Example: faceline gallery rebuild")
def rebuild(context: typer.Context) -> None:
    """Make Milvus anew from the tables while everything goes on; deleted vectors leave its files with the old one."""
    rebuilt = asyncio.run(_rebuilt(invocation(context)))
    table = Table("in Milvus", "templates")
    for each in rebuilt:
        table.add_row(each.place, str(each.templates))
    console.print(table)


async def _rebuilt(call: Invocation) -> list[Rebuilt]:
    from pipeline import wiring  # it loads every engine, and --help needs none
    from pipeline.wiring.galleries import Templates
    from pipeline.wiring.galleries.rebuilding import MilvusRebuilding
    from pipeline.wiring.galleries.rotation import Rotations

    async with asking(call) as client:
        with (
            closing(wiring.key_store(call.settings, call.home)) as keys,
            closing(wiring.milvus(call.settings, call.home)) as milvus,
            console.status("beginning") as status,
        ):
            opening = Templates(keys, wiring.catalogue())
            index = MilvusRebuilding.of(milvus, Rotations(keys), call.settings.now)
            return await rebuilding.rebuild(client, index, opening.enrolled, tell=status.update)


async def _compared(call: Invocation) -> list[Compared]:
    from pipeline import wiring  # it loads every engine, and --help needs none
    from pipeline.wiring.galleries.contents import MilvusContents

    deployment = call.settings.deployment()
    async with asking(call) as client:
        with closing(wiring.admin(call.settings, call.home)) as admin:
            await all_enrolled(client, admin, deployment.group(ENROL), deployment)
        with closing(wiring.milvus(call.settings, call.home)) as milvus:
            return await compared(client, MilvusContents(milvus))
