"""How fast a capture process takes a file, beside PyAV and ffmpeg at the same decoding, sampling and JPEG."""

import asyncio
from dataclasses import dataclass

from aiokafka import TopicPartition  # type: ignore[import-untyped]

from connectors import kafka
from pipeline import wiring
from pipeline.bench import Bench, Row, over
from pipeline.bench.audit import Taken, audited
from pipeline.bench.bare import captured_per_second, ffmpeg_per_second
from pipeline.bench.clips import narrated
from pipeline.bench.deployment import Deployed, deployed
from pipeline.topology import DETECT, FRAMES

NAME = "capture"
CAMERA = "reel"
CLIP_FPS, FPS = 25, 5
SIZE = (1280, 720)
GOAL = 0.8
COMMIT_SECONDS = 0.1
# Back-pressure begins with 16 frames and doubles: this part of the run only learns how fast the group is.
LEARNING = 0.3


@dataclass(frozen=True, slots=True)
class Capture:
    """Frames of the clip per second: by the capture process, by bare PyAV, by ffmpeg where it is installed.

    `sampled` frames went to Kafka.
    """

    capture_fps: float
    pyav_fps: float
    ffmpeg_fps: float | None
    sampled: int

    @property
    def sound(self) -> bool:
        return True

    def rows(self) -> list[Row]:
        rows = [_row("PyAV", self.capture_fps, self.pyav_fps)]
        return rows if self.ffmpeg_fps is None else [*rows, _row("ffmpeg", self.capture_fps, self.ffmpeg_fps)]


def _row(other: str, ours: float, theirs: float) -> Row:
    what = f"frames/s of the process / of bare {other}: 720p H.264, one in {CLIP_FPS // FPS} to JPEG"
    row = over(NAME, what, ours / theirs, GOAL)
    return Row(row.benchmark, row.what, f"{row.value} ({ours:.0f} / {theirs:.0f} per s)", row.goal, row.met)


async def run(bench: Bench, *, times: int = 5) -> Capture:
    """Capture the demo's story in 720p, `times` times over, while a group that only commits takes the frames."""
    bench.tell("making the clip")
    clip = await narrated(bench.folder / f"capture-{times}.mp4", fps=CLIP_FPS, size=SIZE, times=times)
    bench.tell("bare PyAV works")
    before = captured_per_second(clip, CLIP_FPS // FPS)
    camera = {"name": CAMERA, "file": str(clip), "fps": FPS, "policy": "all"}
    async with deployed(bench, "dlib", [camera], stages=lambda _: False) as deployment:
        bench.tell("the capture process works")
        committing = asyncio.create_task(_commit(deployment))
        program = deployment.cameras[CAMERA]
        await program.start()
        await program.wait()
        committing.cancel()
        await asyncio.gather(committing, return_exceptions=True)
        # Read afterwards, as a reader would take its share of the processors.
        async with audited(deployment, (FRAMES,)) as (audit, _):
            frames = list(audit.frames.values())
        ours = _rate(frames) * CLIP_FPS / FPS
    bench.tell("bare PyAV works again")
    after = captured_per_second(clip, CLIP_FPS // FPS)
    folder = bench.folder / "jpegs"
    folder.mkdir()
    ffmpeg = ffmpeg_per_second(clip, FPS, len(frames) * CLIP_FPS // FPS, folder)
    return Capture(ours, (before + after) / 2, ffmpeg, len(frames))


def _rate(frames: list[Taken]) -> float:
    """Sampled frames per second, once the back-pressure knows its group."""
    times = sorted(taken.appended_at for taken in frames)[int(LEARNING * len(frames)) :]
    return (len(times) - 1) / (times[-1] - times[0]).total_seconds()


async def _commit(deployment: Deployed) -> None:
    """Be a detect group that is always done."""
    plan = deployment.settings.deployment()
    access = wiring.kafka_access(deployment.settings, deployment.home)
    consumer = kafka.consumer(access, group=plan.group(DETECT))
    place = TopicPartition(plan.name(FRAMES), plan.scale.of_camera(CAMERA))
    await consumer.start()
    try:
        consumer.assign([place])
        while True:
            ends = await consumer.end_offsets([place])
            await consumer.commit(ends)
            await asyncio.sleep(COMMIT_SECONDS)
    finally:
        await consumer.stop()
