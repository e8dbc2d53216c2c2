"""How long it takes from the frame that made a face to the committed identification, and where the time goes."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np

from connectors.rtsp_server import RtspServer
from pipeline.bench import Bench, Row, under
from pipeline.bench.audit import Audit, Progress, audited
from pipeline.bench.clips import alternating
from pipeline.bench.deployment import Deployed, deployed, until
from pipeline.bench.gallery import filled
from pipeline.operations import Refused
from pipeline.records import FrameId
from pipeline.topology import FACES, FRAMES, IDENTIFICATIONS, LEDGER

NAME = "latency"
CAMERA = "door"
CLIP_FPS, FPS = 25, 5
CLIP_SECONDS = 30.0
GOAL_P50, GOAL_P99 = 120.0, 500.0
START_SECONDS = 60.0
WARM_FACES = 5
PARTS = ("camera to frames", "frames to faces", "faces to identifications", "append to read")


@dataclass(frozen=True, slots=True)
class Moments:
    """The way of one face: the frame that made it, captured and appended; the face; its identification, and its commit.

    A face is made by the frame whose processing published it, not by the best shot that it shows: the ledger that
    detect writes with the face tells how far it was. Committed is what a reader of committed records has got, so the
    reading is counted too.
    """

    captured: datetime
    in_frames: datetime
    in_faces: datetime
    in_identifications: datetime
    committed: datetime

    @property
    def total(self) -> float:
        """Milliseconds from the capture to the commit."""
        return (self.committed - self.captured) / timedelta(milliseconds=1)

    @property
    def parts(self) -> tuple[float, ...]:
        """Milliseconds of each of PARTS."""
        steps = (self.captured, self.in_frames, self.in_faces, self.in_identifications, self.committed)
        return tuple((after - before) / timedelta(milliseconds=1) for before, after in pairwise(steps))


@dataclass(frozen=True, slots=True)
class Latency:
    """Every face of a run."""

    moments: tuple[Moments, ...]

    @property
    def sound(self) -> bool:
        return bool(self.moments)

    def percentile(self, share: float) -> float:
        """Milliseconds."""
        return float(np.percentile([each.total for each in self.moments], share))

    def rows(self) -> list[Row]:
        known = f"of {len(self.moments)} faces, {FPS} frames/s of a camera"
        return [
            under(NAME, f"p50 {known}", self.percentile(50), GOAL_P50, unit=" ms", digits=0),
            under(NAME, f"p99 {known}", self.percentile(99), GOAL_P99, unit=" ms", digits=0),
            *(self._part(index, name) for index, name in enumerate(PARTS)),
        ]

    def _part(self, index: int, name: str) -> Row:
        times = [each.parts[index] for each in self.moments]
        low, high = np.percentile(times, [50, 99])
        return Row(NAME, f"of it: {name}, p50 and p99", f"{low:.0f} ms, {high:.0f} ms")


async def run(bench: Bench, *, pack: str = "retail", faces: int = 200, templates: int = 1_000) -> Latency:
    """Watch a real RTSP camera until so many faces were identified."""
    bench.tell("making the clip")
    reel = bench.folder / "reel"
    reel.mkdir(exist_ok=True)
    await alternating(reel / "door.mp4", CLIP_SECONDS, fps=CLIP_FPS)
    try:
        server = RtspServer(reel, log=bench.folder / "rtsp.log")
    except ModuleNotFoundError as error:
        raise Refused(str(error)) from None
    async with server:
        camera = {"name": CAMERA, "url": server.url("door.mp4"), "fps": FPS}
        async with (
            deployed(bench, pack, [camera]) as deployment,
            audited(deployment, (FRAMES, FACES, IDENTIFICATIONS, LEDGER)) as (audit, _),
        ):
            await _watched(deployment, audit, faces + WARM_FACES, templates)
            return Latency(tuple(moments(audit)[WARM_FACES:]))


async def _watched(deployment: Deployed, audit: Audit, faces: int, templates: int) -> None:
    deployment.bench.tell(f"enrolling {templates} templates")
    async with deployment.client() as client:
        await filled(deployment, client, templates, np.random.default_rng(0))
    deployment.bench.tell(f"watching the camera until {faces} faces are identified")
    camera = deployment.cameras[CAMERA]
    await camera.start()
    await until(lambda: len(audit.told) >= faces, f"{faces} identifications", START_SECONDS + 2.0 * faces)
    await camera.stop()


def moments(audit: Audit) -> list[Moments]:
    """The way of every identified face whose frame was seen, in order."""
    told = {each.identification.face_id: each for each in reversed(audit.told)}
    ledgers = sorted(audit.progress, key=lambda each: each.appended_at)
    found = []
    for published in audit.faces:
        shot = published.face.shot
        answer = told.get(published.face.face_id)
        if shot is None or answer is None:
            continue
        maker = _written_with(ledgers, published.appended_at)
        frame = audit.frames.get(FrameId(shot.frame.camera, maker.session, maker.last))
        if frame is not None:
            found.append(
                Moments(frame.captured_at, frame.appended_at, published.appended_at, answer.appended_at, answer.read_at)
            )
    return found


def _written_with(ledgers: Sequence[Progress], moment: datetime) -> Progress:
    """The ledger nearest in time: the two are sent together, and the next frame's comes 200 ms later."""
    place = bisect_left(ledgers, moment, key=lambda each: each.appended_at)
    near = ledgers[max(0, place - 1) : place + 1]
    return min(near, key=lambda each: abs(each.appended_at - moment))
