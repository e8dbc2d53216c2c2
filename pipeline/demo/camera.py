"""What the demo's camera sees: sample footage from a real RTSP server on loopback, or the user's own video."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from connectors.footage import EILEEN_COLLINS, GRACE_HOPPER, make_clip, portraits, story, write_stills
from connectors.rtsp_server import RtspServer
from connectors.source import SourceKind, parse_source
from pipeline.home import Home
from pipeline.operations import Refused
from pipeline.operations.album import Wanted

NAME = "demo"
CLIP = "story.mp4"
CLIP_FPS = 10  # twice of what the demo looks at
Progress = Callable[[str, float], None]


class Scenery(Protocol):
    """Where a camera's pictures come from."""

    @property
    def people(self) -> tuple[Wanted, ...]:
        """Who is to be enrolled; their photos are there once it has started."""
        ...

    @property
    def source(self) -> dict[str, object]:
        """What a `[[camera]]` of the settings says of it."""
        ...

    @property
    def label(self) -> str:
        """What may be shown of its address."""
        ...

    async def start(self, progress: Progress) -> None:
        """Be ready to be watched; `progress` is told every finished step and its seconds."""
        ...

    async def stop(self) -> None: ...


class SampleCamera:
    """The sample footage, over and over, as a camera in the network would send it.

    Refused where the extra "demo" is not installed.
    """

    def __init__(self, home: Home) -> None:
        self._folder = home.state / "footage"
        try:
            portraits()
            self._server = RtspServer(self._folder, log=home.logs / "rtsp.log")
        except ModuleNotFoundError as error:
            raise Refused(str(error)) from None

    @property
    def people(self) -> tuple[Wanted, ...]:
        return tuple(Wanted(name, (self._folder / f"{name}.png",)) for name in (EILEEN_COLLINS, GRACE_HOPPER))

    @property
    def source(self) -> dict[str, object]:
        return {"url": self.label}

    @property
    def label(self) -> str:
        return self._server.url(CLIP)

    async def start(self, progress: Progress) -> None:
        began = time.monotonic()
        await asyncio.to_thread(_film, self._folder)
        filmed = time.monotonic()
        progress("make the sample footage", filmed - began)
        await self._server.start()
        progress("start the RTSP camera", time.monotonic() - filmed)

    async def stop(self) -> None:
        await self._server.stop()


def _film(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    write_stills(folder)
    make_clip(folder / CLIP, story(portraits()), fps=CLIP_FPS)


class OwnVideo:
    """The user's camera, or a file that is played in its own time, over and over. VideoRefused where it is neither."""

    def __init__(self, video: str, people: tuple[Wanted, ...]) -> None:
        self.people = people
        self._video = video
        self._parsed = parse_source(video)

    @property
    def source(self) -> dict[str, object]:
        match self._parsed.kind:
            case SourceKind.FILE:
                return {"file": str(Path(self._video).expanduser().absolute()), "loop": True}
            case SourceKind.RTSP:
                return {"url": self._video}
            case SourceKind.DEVICE:
                return {"device": self._video}

    @property
    def label(self) -> str:
        return self._parsed.label

    async def start(self, progress: Progress) -> None:
        """It runs already."""

    async def stop(self) -> None:
        """It is not ours."""
