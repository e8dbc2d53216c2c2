"""How many frames a second the whole pipeline takes, and what the detect stage costs, beside the bare models."""

import asyncio
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline import wiring
from pipeline.balance import balances
from pipeline.bench import Bench, Row, under
from pipeline.bench.audit import audited
from pipeline.bench.bare import cpu_per_frame, jpegs, watched_per_second
from pipeline.bench.clips import alternating, narrated
from pipeline.bench.deployment import Deployed, cpu_seconds, deployed
from pipeline.settings import Settings
from pipeline.topology import FRAMES, LEDGER
from pipeline.wiring.asking import ModelPortraitist

GOAL_CPU = 1.3
WARM_SECONDS = 2.0
WARM, MAIN = "warm", "main"


@dataclass(frozen=True, slots=True)
class Throughput:
    """One pack: processor seconds of a frame in the stage and in the bare loop; frames per second of both ways."""

    pack: str
    frames: int
    stage_cpu: float
    bare_cpu: float
    pipeline_fps: float
    script_fps: float
    unaccounted: int

    @property
    def sound(self) -> bool:
        return self.unaccounted == 0

    def rows(self) -> list[Row]:
        return [*self.cpu_rows(), *self.speed_rows()]

    def cpu_rows(self) -> list[Row]:
        """What the detect stage costs."""
        what = f"{self.pack}: processor time of a frame in the stage / of bare decode, detect, embed"
        row = under("detect", what, self.stage_cpu / self.bare_cpu, GOAL_CPU)
        measured = f"{row.value} ({self.stage_cpu * 1e3:.1f} / {self.bare_cpu * 1e3:.1f} ms)"
        return [Row(row.benchmark, row.what, measured, row.goal, row.met)]

    def speed_rows(self) -> list[Row]:
        """How fast the whole is."""
        ratio = self.pipeline_fps / self.script_fps
        what = f"{self.pack}: frames/s of the whole pipeline / of a per-frame script, {self.frames} frames"
        return [Row("pipeline", what, f"{ratio:.2f} ({self.pipeline_fps:.1f} / {self.script_fps:.1f} per s)")]


async def run(bench: Bench, pack: str, *, fps: int, times: int = 1) -> Throughput:
    """Send the demo's story, `times` times over, at `fps` frames per second of its 24 s, through a deployment."""
    bench.tell(f"{pack}: making the clips")
    clip = await narrated(bench.folder / f"story-{fps}-{times}.mp4", fps=fps, times=times)
    warm = await alternating(bench.folder / f"warm-{fps}.mp4", WARM_SECONDS, fps=fps)
    frames = jpegs(clip, fps)
    cameras = [
        {"name": name, "file": str(path), "fps": fps, "policy": "all"} for name, path in ((WARM, warm), (MAIN, clip))
    ]
    async with deployed(bench, pack, cameras) as deployment:
        bench.tell(f"{pack}: the deployment works")
        models = ModelPortraitist(await asyncio.to_thread(wiring.face_models, deployment.settings))
        stage_cpu, pipeline_fps, unaccounted = await _measured(deployment, len(frames))
    bench.tell(f"{pack}: the bare loops work")
    bare_cpu = cpu_per_frame(models, frames)
    script_fps = watched_per_second(models, clip, _nobody(deployment.settings))
    return Throughput(pack, len(frames), stage_cpu, bare_cpu, pipeline_fps, script_fps, unaccounted)


def _nobody(settings: Settings) -> NDArray[np.float32]:
    return np.zeros((100, wiring.catalogue().pack(settings.models.pack).dimension), np.float32)


async def _measured(deployment: Deployed, frames: int) -> tuple[float, float, int]:
    """Processor seconds of a frame, frames per second, frames that nothing accounts for."""
    await deployment.played(WARM)
    before = cpu_seconds(deployment.running.pids()["detect"])
    async with audited(deployment, (FRAMES, LEDGER)) as (audit, follower):
        await deployment.played(MAIN)
        used = cpu_seconds(deployment.running.pids()["detect"]) - before
        await follower.catch_up()
        began = min(taken.appended_at for place, taken in audit.frames.items() if place.camera == MAIN)
        sessions = {place.session for place in audit.frames if place.camera == MAIN}
        ended = max(each.appended_at for each in audit.progress if each.session in sessions)
    balance = balances(await deployment.books())[MAIN]
    return used / frames, balance.processed / (ended - began).total_seconds(), balance.unaccounted
