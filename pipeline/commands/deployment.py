"""Commands for the deployment as a whole: prepare it, run it, look at it, end it, and wipe it."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import psutil
import typer
from rich.console import Console

from connectors import ServiceRefused
from pipeline import logs
from pipeline.api.listening import certificate, listener
from pipeline.commands import Invocation, invocation
from pipeline.commands.interruption import cancelled_once_by_signals
from pipeline.commands.status import as_json, as_table, observed
from pipeline.home import Home, HomeError, Running
from pipeline.settings import FILE
from pipeline.settings.template import template

app = typer.Typer()
console = Console(highlight=False)

DETACHED_START_SECONDS = 600.0
END_SECONDS = 30.0


@app.command(epilog="Example: faceline init && $EDITOR faceline.toml")
def init(context: typer.Context) -> None:
    """Create the home, and in it a commented settings file with every default."""
    home = invocation(context).home
    home.prepare()
    file = home.path / FILE
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise HomeError(f"{file} is there already; edit it, or remove it first") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as written:
            written.write(template())
    except OSError:
        # Half a file would mean half of the settings, and keep the next `init` from writing a whole one.
        file.unlink()
        raise
    console.print(f"{file} holds the settings; run everything with: faceline up", soft_wrap=True)


@app.command(epilog="Example: faceline up --detach")
def up(
    context: typer.Context,
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when everything runs, and leave it running.")
    ] = False,
) -> int:
    """Run everything of this machine under one supervisor, until Ctrl-C or `faceline down`."""
    call = invocation(context)
    call.home.prepare()
    _expect_door(call)
    if detach:
        return _detached(call.home)
    logs.configure(call.home, call.settings.logs, "supervisor", console=True)
    return asyncio.run(_until_asked(call))


def _expect_door(call: Invocation) -> None:
    """A mistake in the settings is told here, not in a log; so is a port that is taken, unless it is by ourselves."""
    certificate(call.settings.api)
    if call.home.running() is None:
        listener(call.settings.api, call.home).close()


async def _until_asked(call: Invocation) -> int:
    from pipeline.machine.supervisor import Supervisor  # here, because it loads every engine

    cancelled_once_by_signals()
    try:
        async with Supervisor(call.home, call.settings, progress=_told) as running:
            console.print(f"running: Kafka {running.bootstrap}, Milvus {running.milvus_uri}; Ctrl-C ends it")
            console.print("the Face API's address is told by `faceline status`, its keys by `faceline key show`")
            await asyncio.Event().wait()
    except asyncio.CancelledError:
        console.print("ended")
    return 0


def _told(step: str, seconds: float) -> None:
    console.print(f"{step:<24} {seconds:6.1f} s")


def _detached(home: Home) -> int:
    output = home.logs / "supervisor.out"
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        child = subprocess.Popen(  # noqa: S603 - our own command line
            [sys.executable, "-P", "-m", "pipeline", "--home", str(home.path), "up"],
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
        )
    finally:
        os.close(descriptor)
    deadline = time.monotonic() + DETACHED_START_SECONDS
    while time.monotonic() < deadline:
        status = child.poll()
        if status is not None:
            sys.stderr.write(_last_line(output))
            return status
        running = home.running()
        if running is not None and running.pid == child.pid and running.ready:
            console.print(f"running as pid {child.pid}; end it with: faceline down")
            return 0
        time.sleep(0.1)
    sys.stderr.write(f"not ready within {DETACHED_START_SECONDS:.0f} s; look at {output}\n")
    return 1


def _last_line(file: Path) -> str:
    lines = file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"{lines[-1]}\n" if lines else f"it ended without a word; look into {file.parent}\n"


@app.command(epilog="Example: faceline status --json")
def status(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> int:
    """Show the processes: pid, restarts, health, lag and where their metrics are. Exit 1 when nothing runs."""
    running = invocation(context).home.running()
    if running is None:
        typer.echo("{}" if json else "nothing runs here; start it with: faceline up")
        return 1
    rows = observed(running)
    if json:
        typer.echo(as_json(running, rows))
    else:
        console.print(as_table(running, rows))
    return 0


@app.command(epilog="Example: faceline down")
def down(context: typer.Context) -> int:
    """End everything that runs in this home, and wait until it has ended."""
    running = invocation(context).home.running()
    if running is None:
        console.print("nothing runs here")
        return 0
    return _ended(running)


def _ended(running: Running) -> int:
    try:
        supervisor = psutil.Process(running.pid)
        supervisor.terminate()
        supervisor.wait(END_SECONDS)
    except psutil.NoSuchProcess:
        pass
    except psutil.TimeoutExpired:
        sys.stderr.write(
            f"pid {running.pid} did not end within {END_SECONDS:.0f} s; end it with: kill -9 {running.pid}\n"
        )
        return 1
    console.print(f"ended pid {running.pid} and its {len(running.processes)} processes")
    return 0


@app.command(epilog="Example: faceline purge --yes")
def purge(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> int:
    """End everything, destroy every key, and wipe the home: nobody enrolled here can be known again."""
    call = invocation(context)
    home, shared = call.home, not call.settings.keys.in_files
    if not home.exists():
        console.print(f"{home.path} holds no deployment; nothing to purge", soft_wrap=True)
        return 0
    if not yes:
        whose = " of every machine that shares them" if shared else ""
        typer.confirm(f"Destroy all keys{whose} and wipe {home.path}?", abort=True)
    running = home.running()
    if running is not None and _ended(running) != 0:
        return 1
    from pipeline import wiring  # here, because it loads every engine

    with home.owned():
        try:
            wiring.erase(call.settings, home)
            console.print("keys destroyed: what they sealed cannot be read any more, wherever a copy of it is")
        except ServiceRefused as trouble:
            if shared:
                raise
            console.print(f"the key store opens no more ({trouble}); its files go with the home", soft_wrap=True)
        left = ", ".join(home.wipe())
    console.print(f"{home.path} wiped{f', but for what is not ours: {left}' if left else ''}", soft_wrap=True)
    return 0
