"""Commands that are one process of a deployment each: a stage's worker, a camera's capture, the API.

The supervisor starts this file, and not the whole command line: who was killed is missed until all that it loads is
loaded again.
"""

import asyncio
import sys
from typing import Annotated

import typer

from connectors import core_dumps
from pipeline import logs
from pipeline.commands import invocation
from pipeline.commands.door import door, entered
from pipeline.settings import API
from pipeline.topology import STAGES

app = typer.Typer()

PLAIN_INSTANCE = "0"


@app.command(epilog="Example: faceline worker detect --instance 1")
def worker(
    context: typer.Context,
    stage: Annotated[str, typer.Argument(help=f"One of {', '.join(STAGES)}.", metavar="STAGE")],
    instance: Annotated[str, typer.Option(help="Tells several workers of one stage apart.")] = PLAIN_INSTANCE,
) -> int:
    """Run one stage in this process; `faceline up` does it for all."""
    if stage not in STAGES:
        raise typer.BadParameter(f"there is no stage {stage!r}; there is: {', '.join(STAGES)}")
    call = invocation(context)
    call.home.prepare()
    name = stage if instance == PLAIN_INSTANCE else f"{stage}-{instance}"
    logs.configure(call.home, call.settings.logs, name, console=sys.stderr.isatty())
    from pipeline import process  # here, because it loads every engine

    return asyncio.run(process.run_stage(call.settings, call.home, stage, instance))


@app.command(epilog="Example: faceline api --port 8421")
def api(
    context: typer.Context,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="Instead of the settings' port: one more of several.", show_default=False),
    ] = None,
) -> int:
    """Serve the Face API in this process; `faceline up` does it, too."""
    call = invocation(context)
    call.home.prepare()
    name = API if port is None else f"{API}-{port}"
    logs.configure(call.home, call.settings.logs, name, console=sys.stderr.isatty())
    from pipeline import process  # here, because it loads every engine

    return asyncio.run(process.run_api(call.settings, call.home, port))


@app.command(epilog="Example: faceline capture door")
def capture(
    context: typer.Context,
    camera: Annotated[str, typer.Argument(help="The name of a [[camera]] in the settings.", metavar="CAMERA")],
) -> int:
    """Read one camera in this process; `faceline up` does it for all."""
    call = invocation(context)
    found = call.settings.camera(camera)
    call.home.prepare()
    logs.configure(call.home, call.settings.logs, f"capture-{camera}", console=sys.stderr.isatty())
    from pipeline import process  # here, because it loads every engine

    return asyncio.run(process.run_capture(call.settings, call.home, found))


if __name__ == "__main__":
    core_dumps.disable()
    sys.exit(entered(door([app]), sys.argv[1:]))
