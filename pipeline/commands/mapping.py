"""Command that draws the map: for a terminal, for a page, and as the contract for applications."""

import json
from pathlib import Path
from typing import Annotated

import typer

from pipeline import contract, drawing
from pipeline.commands import invocation

app = typer.Typer()


@app.command(name="map", epilog="Example: faceline map --mermaid")
def show(
    context: typer.Context,
    text: Annotated[bool, typer.Option("--text", help="As text, which is also the default.")] = False,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="As Mermaid, for pages that render it.")] = False,
    svg: Annotated[Path | None, typer.Option("--svg", help="Write a picture to this file.", dir_okay=False)] = None,
    asyncapi: Annotated[bool, typer.Option("--asyncapi", help="The AsyncAPI 3.0 document, JSON.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="The JSON Schema of an identification.")] = False,
) -> None:
    """Draw the topology: every topic, every stage, and what flows between them."""
    if sum((text, mermaid, svg is not None, asyncapi, schema)) > 1:
        raise typer.BadParameter("choose one of --text, --mermaid, --svg, --asyncapi and --schema")
    if svg is not None:
        svg.write_text(drawing.svg(), encoding="utf-8")
        typer.echo(f"the picture is in {svg}")
    elif mermaid:
        typer.echo(drawing.mermaid(), nl=False)
    elif asyncapi:
        typer.echo(json.dumps(contract.asyncapi(invocation(context).settings.deployment()), indent=2))
    elif schema:
        typer.echo(json.dumps(contract.json_schema(), indent=2))
    else:
        typer.echo(drawing.text(), nl=False)
