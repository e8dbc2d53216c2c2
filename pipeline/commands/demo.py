"""The command that shows it all: one story on a deployment of its own, on this machine."""

import asyncio
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from connectors import ServiceRefused
from models import ModelError
from pipeline.commands.interruption import cancelled_once_by_signals
from pipeline.demo import Plan
from pipeline.demo.live_screen import LiveScreen
from pipeline.demo.screen import PlainScreen, Screen
from pipeline.home import Home
from pipeline.operations import Refused
from pipeline.operations.album import from_folder
from pipeline.settings import load

app = typer.Typer()
console = Console(highlight=False)

INTERRUPTED = 130  # 128 + SIGINT, as shells say it
MISTAKES = (ServiceRefused, ModelError, Refused)  # their one line says it all


@app.command(epilog="Example: faceline demo --photos ./people --video rtsp://camera.local/stream")
def demo(
    context: typer.Context,
    photos: Annotated[
        Path | None, typer.Option(help="Your own people: a folder with one folder or one photo each.")
    ] = None,
    video: Annotated[str | None, typer.Option(help="Your own footage: a file, or rtsp://...")] = None,
    pack: Annotated[str, typer.Option(help="The model pack: see faceline models list.")] = "dlib",
    models: Annotated[
        Path | None, typer.Option(help="A folder to take the pack's weights from, instead of the network.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running until Ctrl-C.")] = False,
    sheet: Annotated[Path, typer.Option(help="Where the contact sheet goes, a PNG.")] = Path("faceline-demo.png"),
    home: Annotated[
        Path | None, typer.Option(help="An empty folder to keep; else it is a temporary one.", show_default=False)
    ] = None,
) -> int:
    """Show everything in two minutes: a real Kafka, a real camera, people named, and one of them forgotten."""
    if not os.access(sheet.absolute().parent, os.W_OK):
        raise Refused(f"the contact sheet cannot be written to {sheet}: give another place with --sheet")
    weights = {} if models is None else {"source": str(models.absolute())}
    plan = replace(_plan(photos, video), models={"pack": pack, **weights}, sheet=sheet, keep=keep)
    try:
        with _home(home or _given(context), keep=keep) as own, _screen() as screen:
            return asyncio.run(_played(own, plan, screen))
    except KeyboardInterrupt:
        # Before the story hears signals by itself: while the engines are loaded.
        return INTERRUPTED


def _plan(photos: Path | None, video: str | None) -> Plan:
    """Who is enrolled and what is seen: both the user's own, or both the sample."""
    if photos is None and video is None:
        return Plan()
    if photos is None or video is None:
        raise Refused("give --photos and --video together: your people, and footage in which they pass")
    from connectors.source import parse_source  # a mistake is told before anything starts

    parse_source(video)
    return Plan(tuple(from_folder(photos)), video)


def _given(context: typer.Context) -> Path | None:
    """The home that was named before the command; that of the environment is for a deployment, not for a demo."""
    parent = context.parent
    source = None if parent is None else parent.get_parameter_source("home")
    return parent.params["home"] if parent is not None and source is not None and source.name == "COMMANDLINE" else None


@contextmanager
def _home(given: Path | None, *, keep: bool) -> Iterator[Home]:
    """A home for the demo alone. One of our own making is purged, but for one whose logs say what went wrong."""
    if given is not None and given.is_dir() and any(given.iterdir()):
        raise Refused(f"the folder {given} is not empty: the demo wants one of its own")
    home = Home(Path(tempfile.mkdtemp(prefix="faceline-demo-")) if given is None else given)
    keep = keep or given is not None
    try:
        yield home
    except MISTAKES:
        raise
    except Exception:
        _say(f"what happened stands in {home.logs}")
        keep = True
        raise
    finally:
        if keep:
            _say(f"everything of it is in {home.path}; remove it with: faceline --home {home.path} purge --yes")
        else:
            _purge(home)


def _purge(home: Home) -> None:
    from pipeline import wiring  # it loads the engines

    wiring.erase(load(home.path), home)
    home.wipe()
    _say("ended; its keys are destroyed and its folder is wiped")


def _say(text: str) -> None:
    console.print(text, soft_wrap=True, markup=False)


@contextmanager
def _screen() -> Iterator[Screen]:
    if not console.is_terminal:
        yield PlainScreen(console)
        return
    with LiveScreen(console) as screen:
        yield screen


async def _played(home: Home, plan: Plan, screen: Screen) -> int:
    cancelled_once_by_signals(lambda: screen.waiting("ending every process"))
    from pipeline.demo.play import play  # it loads the engines

    try:
        return 0 if await play(home, plan, screen) else 1
    except asyncio.CancelledError:
        return INTERRUPTED
