"""What the HTTP door costs: a detection beside the bare models, a write, and many clients at once."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import psutil

from pipeline import wiring
from pipeline.bench import Bench, Row, bare, under
from pipeline.bench.caller import OPEN_TABLE, Caller, calling, photo
from pipeline.bench.deployment import cpu_seconds, deployed
from pipeline.settings import API
from pipeline.wiring.asking import ModelPortraitist

NAME = "api"
GROUP = "/largepersongroups/bench"
NAMED = {"name": "bench", "recognitionModel": "recognition_04"}
GOAL_DETECT, GOAL_P50, GOAL_P99 = 1.25, 40.0, 150.0
WARM = 5
MEBIBYTE = 1 << 20
# What a deployment that is asked too much may say, and nothing else.
BUSY = 429


@dataclass(frozen=True, slots=True)
class Load:
    """Many clients at once: how often each status came; resident memory after the first tenth and at the end."""

    clients: int
    seconds: float
    statuses: Mapping[int, int]
    resident: tuple[int, int]

    @property
    def failed(self) -> int:
        """Answers that were neither a success nor 429."""
        return sum(count for status, count in self.statuses.items() if status not in (200, 202, BUSY))


@dataclass(frozen=True, slots=True)
class Door:
    """What a run found; `writes` in seconds."""

    detect_ratio: float
    writes: Sequence[float]
    load: Load | None

    @property
    def sound(self) -> bool:
        return self.load is None or self.load.failed == 0

    def rows(self) -> list[Row]:
        p50, p99 = np.percentile([each * 1000 for each in self.writes], [50, 99])
        known = f"a write, of {len(self.writes)} persons created"
        rows = [
            under(NAME, "detect over HTTP / bare decode, detect, embed: CPU", self.detect_ratio, GOAL_DETECT),
            under(NAME, f"{known}: p50", float(p50), GOAL_P50, unit=" ms", digits=0),
            under(NAME, f"{known}: p99", float(p99), GOAL_P99, unit=" ms", digits=0),
        ]
        if (load := self.load) is not None:
            what = f"{load.clients} clients for {load.seconds:.0f} s"
            total = sum(load.statuses.values())
            early, late = (size / MEBIBYTE for size in load.resident)
            rows += [
                Row(NAME, f"{what}: failed of {total} answers", str(load.failed), "0", load.failed == 0),
                Row(NAME, f"{what}: 429 among them", str(load.statuses.get(BUSY, 0))),
                Row(NAME, f"{what}: answers a second", f"{total / load.seconds:.0f}"),
                Row(NAME, f"{what}: RSS after a tenth and at the end", f"{early:.0f} and {late:.0f} MiB"),
            ]
        return rows


async def run(
    bench: Bench,
    *,
    pack: str = "retail",
    detections: int = 60,
    writes: int = 200,
    clients: int = 32,
    seconds: float = 120.0,
) -> Door:
    """Ask a deployment without cameras; a load of 0 s is none."""
    async with deployed(bench, pack, api=True, tables={"api": OPEN_TABLE}) as deployment, calling(deployment) as caller:
        picture = photo()
        await caller.done("PUT", GROUP, NAMED)
        bench.tell(f"detecting {detections} times")
        pid = deployment.running.pids()[API]
        served = await _cpu_per_detection(caller, pid, picture, detections)
        bench.tell(f"writing {writes} times")
        written = [(await caller.done("POST", f"{GROUP}/persons", {"name": "n"})).seconds for _ in range(writes)]
        load = None
        if seconds:
            bench.tell(f"{clients} clients for {seconds:g} s")
            load = await Crowd(caller, picture, pid).gathered(clients, seconds)
        settings = deployment.settings
    bench.tell("the same models, bare")
    models = ModelPortraitist(await asyncio.to_thread(wiring.face_models, settings))
    bare.cpu_per_frame(models, [picture] * WARM)
    return Door(served / bare.cpu_per_frame(models, [picture] * detections), written[WARM:], load)


async def _cpu_per_detection(caller: Caller, pid: int, picture: bytes, count: int) -> float:
    for _ in range(WARM):
        await caller.detected(picture)
    began = cpu_seconds(pid)
    for _ in range(count):
        await caller.detected(picture)
    return (cpu_seconds(pid) - began) / count


@dataclass(slots=True)
class Crowd:
    """Clients that enrol, recognise and forget, each a person of its own, as fast as they are answered."""

    caller: Caller
    picture: bytes
    pid: int
    statuses: Counter[int] = field(default_factory=Counter)

    async def gathered(self, clients: int, seconds: float) -> Load:
        """Let so many clients go on for so long."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        faces = (await self.caller.detected(self.picture)).body
        face = faces[0]["faceId"]
        await self.caller.trained(GROUP)
        working = [asyncio.create_task(self._client(face, began + seconds, number)) for number in range(clients)]
        await asyncio.sleep(seconds / 10)
        early = psutil.Process(self.pid).memory_info().rss
        await asyncio.gather(*working)
        late = psutil.Process(self.pid).memory_info().rss
        return Load(clients, loop.time() - began, dict(self.statuses), (early, late))

    async def _client(self, face: str, end: float, number: int) -> None:
        while asyncio.get_running_loop().time() < end:
            made = await self._counted("POST", f"{GROUP}/persons", {"name": f"client {number}"})
            if not isinstance(made, dict):
                continue
            place = f"{GROUP}/persons/{made['personId']}"
            await self._counted("POST", f"{place}/persistedfaces", data=self.picture)
            await self._counted("GET", place)
            await self._counted("POST", "/identify", {"faceIds": [face], "largePersonGroupId": "bench"})
            await self._counted("POST", "/verify", {"faceId1": face, "faceId2": face})
            await self._counted("DELETE", place)

    async def _counted(self, method: str, path: str, body: object = None, **given: object) -> object:
        answer = await self.caller.ask(method, path, body, **given)
        self.statuses[answer.status] += 1
        if answer.status == BUSY:
            await asyncio.sleep(1.0)
        return answer.body if answer.status in (200, 202) else None
