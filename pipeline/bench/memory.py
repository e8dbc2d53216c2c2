"""How much memory each process of a deployment holds while it works."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import psutil

from pipeline.bench import Bench, Row
from pipeline.bench.audit import audited
from pipeline.bench.clips import alternating
from pipeline.bench.deployment import deployed, until
from pipeline.bench.gallery import filled
from pipeline.machine.programs import capture_name
from pipeline.topology import IDENTIFICATIONS

NAME = "memory"
CAMERA = "hall"
FPS = 5
CLIP_SECONDS = 30.0
MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident set size of each process, in bytes; libraries that processes share count in each of them."""

    pack: str
    templates: int
    resident: Mapping[str, int]

    @property
    def sound(self) -> bool:
        return True

    def rows(self) -> list[Row]:
        every = {**self.resident, "all together": sum(self.resident.values())}
        known = f"{self.pack}, {self.templates} templates"
        return [Row(NAME, f"{known}: RSS of {name}", f"{size / MEBIBYTE:.0f} MiB") for name, size in every.items()]


async def run(bench: Bench, *, pack: str = "retail", seconds: float = 60.0, templates: int = 1_000) -> Memory:
    """Watch a camera for so long, then look."""
    bench.tell("making the clip")
    clip = await alternating(bench.folder / "memory.mp4", CLIP_SECONDS)
    camera = {"name": CAMERA, "file": str(clip), "fps": FPS, "policy": "latest", "loop": True}
    async with deployed(bench, pack, [camera]) as deployment, audited(deployment, (IDENTIFICATIONS,)) as (audit, _):
        bench.tell(f"enrolling {templates} templates")
        async with deployment.client() as client:
            await filled(deployment, client, templates, np.random.default_rng(0))
        program = deployment.cameras[CAMERA]
        await program.start()
        await until(lambda: bool(audit.told), "the first identification")
        bench.tell(f"watching for {seconds:g} s")
        await asyncio.sleep(seconds)
        pids = dict(deployment.running.pids())
        if program.pid is not None:
            pids[capture_name(deployment.settings.cameras[0])] = program.pid
        resident = {name: psutil.Process(pid).memory_info().rss for name, pid in sorted(pids.items())}
    return Memory(pack, templates, resident)
