"""Commands for the model packs: which there are, fetch one, check one."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pipeline.commands import invocation

app = typer.Typer(name="models", help="The model packs: list, pull or verify them.")
console = Console(highlight=False)

PackName = Annotated[str | None, typer.Argument(help="The pack; the settings' own if none is given.", metavar="PACK")]


@app.command("list", epilog="Example: faceline models list")
def list_packs(context: typer.Context) -> None:
    """Show every pack, its licence, and whether its files are here."""
    from pipeline import doctor, wiring  # here, because it loads every engine

    settings = invocation(context).settings
    table = Table("pack", "in use", "threshold", "metric", "here", "licence")
    for pack in wiring.catalogue().packs:
        here = "no" if doctor.model_faults(settings, pack.name) else "yes"
        in_use = "yes" if pack.name == settings.models.pack else ""
        licence = f"{pack.licence} (must be accepted)" if pack.licence_accept else pack.licence
        table.add_row(pack.name, in_use, f"{pack.threshold:g}", pack.metric, here, licence)
    console.print(table)


@app.command(epilog="Example: faceline models pull retail --from ./weights")
def pull(
    context: typer.Context,
    pack: PackName = None,
    source: Annotated[
        Path | None, typer.Option("--from", help="Take the files from this folder instead of the network.")
    ] = None,
    accept_licence: Annotated[bool, typer.Option("--accept-licence", help="Accept the licence of the pack.")] = False,
) -> None:
    """Fetch a pack's files, verify their checksums and convert what needs it."""
    from pipeline import wiring  # here, because it loads every engine

    settings = invocation(context).settings
    files = wiring.model_store(settings).ensure(
        wiring.catalogue().pack(settings.models.pack if pack is None else pack),
        source=settings.models.source if source is None else source,
        accept_licence=settings.models.accept_licence or accept_licence,
        progress=typer.echo,
    )
    for name, path in files.items():
        typer.echo(f"{name}: verified, in {path.parent}")


@app.command(epilog="Example: faceline models verify dlib")
def verify(context: typer.Context, pack: PackName = None) -> int:
    """Compare a pack's files with their checksums. Exit 1 when one is missing or wrong."""
    from pipeline import doctor  # here, because it loads every engine

    settings = invocation(context).settings
    name = settings.models.pack if pack is None else pack
    faults = doctor.model_faults(settings, name)
    for fault in faults:
        typer.echo(f"{fault}; get it with: faceline models pull {name}", err=True)
    if not faults:
        typer.echo(f"{name}: every file has its checksum")
    return 1 if faults else 0
