"""The footage of the benchmarks, made on the spot from public-domain portraits."""

import asyncio
from itertools import cycle, islice
from pathlib import Path

from connectors.footage import EILEEN_COLLINS, GRACE_HOPPER, Placement, Scene, View, make_clip, portraits, story
from pipeline.operations import Refused

CUT_SECONDS = 0.5


def people() -> dict[str, "Placement"]:
    """The two portraits, each placed so that the face is at least 110 pixels high at 640x360."""
    try:
        found = portraits()
    except ModuleNotFoundError as error:
        raise Refused(str(error)) from None
    return {
        EILEEN_COLLINS: Placement(found[EILEEN_COLLINS], View(0.45, 0.75, 1.6), View(0.55, 0.75, 1.6)),
        GRACE_HOPPER: Placement(found[GRACE_HOPPER], View(0.5, 0.55, 1.0), View(0.5, 0.6, 1.1)),
    }


async def alternating(path: Path, seconds: float, *, fps: int = 20, cut: float = CUT_SECONDS) -> Path:
    """A clip that cuts from one person to the other every `cut` seconds, each time to a new track."""
    scenes = [Scene(cut, (each,)) for each in islice(cycle(people().values()), round(seconds / cut))]
    await asyncio.to_thread(make_clip, path, scenes, fps=fps)
    return path


async def narrated(path: Path, *, fps: int, size: tuple[int, int] = (640, 360), times: int = 1) -> Path:
    """The demo's story of 24 seconds, several times over: pan, zoom, cuts, each alone, both at once, nobody."""
    try:
        scenes = story(portraits())
    except ModuleNotFoundError as error:
        raise Refused(str(error)) from None
    await asyncio.to_thread(make_clip, path, scenes * times, fps=fps, size=size)
    return path
