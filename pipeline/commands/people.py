"""Commands for persons: enrol from photos, list, show, export, forget."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pipeline.commands import Invocation, invocation
from pipeline.commands.asking import asking
from pipeline.commands.enrolment import Enrolment, Outcome
from pipeline.operations import Refused, access, collections, persons
from pipeline.operations.album import from_folder, one
from pipeline.operations.photos import Choice
from pipeline.records import Box, Operation

app = typer.Typer()
person = typer.Typer(name="person", help="The enrolled persons: add, list, show, export, delete.", no_args_is_help=True)
app.add_typer(person)
console = Console(highlight=False)

InCollection = Annotated[
    str, typer.Option("--collection", "-c", help="The collection: ID, KIND/ID such as persongroup/staff, or directory.")
]
DEFAULT = collections.DEFAULT


@person.command(epilog='Example: faceline person add "Grace Hopper" grace.jpg grace-1952.jpg')
def add(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="The person's name.", show_default=False)] = None,
    photos: Annotated[list[Path] | None, typer.Argument(help="Photos of the person.", show_default=False)] = None,
    collection: InCollection = DEFAULT,
    largest: Annotated[bool, typer.Option("--largest", help="Of several faces in a photo, take the largest.")] = False,
    face: Annotated[
        str | None, typer.Option(help="Of several faces, take the one at LEFT,TOP,WIDTH,HEIGHT.", show_default=False)
    ] = None,
    consent: Annotated[
        str | None, typer.Option(help="Your reference to what the person agreed to.", show_default=False)
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--from", help="Many persons: one folder or one photo each, named as they are called."),
    ] = None,
) -> int:
    """Enrol a person from photos, or many from a folder; returns when they will be recognised."""
    scope = collections.gallery_of(collection)
    choice = Choice(largest=largest, face=None if face is None else _rectangle(face))
    if folder is not None:
        if name is not None or photos:
            raise Refused("give a name and photos, or --from a folder, not both")
        wanted = from_folder(folder)
    elif name is None or not photos:
        raise Refused('give a name and at least one photo: faceline person add "Grace Hopper" grace.jpg')
    else:
        wanted = [one(name, photos)]
    enrolment = Enrolment(invocation(context), scope, choice, console, consent)
    return _told(asyncio.run(enrolment.run(wanted, skip_known=folder is not None)))


def _rectangle(text: str) -> Box:
    numbers = text.split(",")
    if len(numbers) != 4 or not all(number.strip().isdigit() for number in numbers):
        raise Refused(f"--face {text} is no rectangle: give LEFT,TOP,WIDTH,HEIGHT in pixels, such as 120,80,200,240")
    return Box(*(int(number) for number in numbers))


def _told(outcomes: list[Outcome]) -> int:
    for outcome in outcomes:
        match outcome.refused:
            case None:
                console.print(f"{outcome.name}: {outcome.person_id}", soft_wrap=True, markup=False)
            case reason:
                typer.echo(reason, err=True)
    return 2 if any(outcome.refused for outcome in outcomes) else 0


@person.command(name="list", epilog="Example: faceline person list --collection staff")
def list_(context: typer.Context, collection: InCollection = DEFAULT) -> None:
    """List the persons of a collection."""
    listed = asyncio.run(_listed(invocation(context), collections.gallery_of(collection)))
    table = Table("name", "person", "faces", "enrolled")
    for each in listed:
        added = f"{each.person.created.astimezone():%Y-%m-%d %H:%M}"
        table.add_row(each.name or "(key destroyed)", each.person.person_id, str(len(each.faces)), added)
    console.print(table)


async def _listed(call: Invocation, scope: str) -> list[persons.Shown]:
    async with asking(call) as client:
        return sorted(persons.listed(client, scope), key=lambda each: each.person.created)


@person.command(epilog='Example: faceline person show "Grace Hopper"')
def show(
    context: typer.Context,
    who: Annotated[str, typer.Argument(help="The person's name or id.")],
    collection: InCollection = DEFAULT,
) -> None:
    """Show a person: id, name and enrolled faces."""
    found = asyncio.run(_found(invocation(context), collections.gallery_of(collection), who))
    console.print(f"name    {found.name or '(key destroyed)'}", markup=False)
    console.print(f"person  {found.person.person_id}")
    console.print(f"since   {found.person.created.astimezone():%Y-%m-%d %H:%M}")
    if found.consent is not None:
        console.print(f"consent {found.consent}", markup=False)
    for face in found.faces:
        console.print(f"face    {face}")


async def _found(call: Invocation, scope: str, who: str) -> persons.Shown:
    async with asking(call) as client:
        return persons.found(client, scope, who)


@person.command(epilog='Example: faceline person export "Grace Hopper" > grace.json')
def export(
    context: typer.Context,
    who: Annotated[str, typer.Argument(help="The person's name or id.")],
    collection: InCollection = DEFAULT,
) -> None:
    """Answer an access request: what is held about a person, where, and until when; as JSON."""
    # Not through the console: what is written here is to be read by programs, too.
    typer.echo(asyncio.run(_held(invocation(context), collections.gallery_of(collection), who)))


async def _held(call: Invocation, scope: str, who: str) -> str:
    from pipeline import wiring  # it loads every engine, and --help needs none
    from pipeline.wiring.asking import everything_told

    async with asking(call) as client:
        person_id = persons.found(client, scope, who).person.person_id
        told = await everything_told(wiring.kafka_access(call.settings, call.home), call.settings.deployment())
        return access.as_json(access.held(client, scope, person_id, told))


@person.command(epilog='Example: faceline person delete "Grace Hopper"')
def delete(
    context: typer.Context,
    who: Annotated[str, typer.Argument(help="The person's name or id.")],
    collection: InCollection = DEFAULT,
) -> None:
    """Forget a person: the key is destroyed, and every record about the person gets its tombstone."""
    done = asyncio.run(_delete(invocation(context), collections.gallery_of(collection), who))
    console.print(f"forgotten: {done.forgotten} records, their key is destroyed; nobody is called so from now on")
    console.print(f"its receipt: faceline erase receipt {done.operation_id}", soft_wrap=True)


async def _delete(call: Invocation, scope: str, who: str) -> Operation:
    async with asking(call) as client:
        return await persons.delete_found(client, scope, who, request_id=client.new_id())
