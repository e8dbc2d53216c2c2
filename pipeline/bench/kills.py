"""Kills every stage and the broker while frames flow: what is lost, what comes twice, how soon it goes on."""

import asyncio
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from pipeline import wiring
from pipeline.balance import Balance, balances
from pipeline.bench import Bench, Row, under
from pipeline.bench.audit import Audit, audited
from pipeline.bench.clips import alternating
from pipeline.bench.deployment import Deployed, deployed, until
from pipeline.bench.gallery import drawn, enrol, ensured, filled, index
from pipeline.machine.supervisor import KAFKA
from pipeline.operations import persons
from pipeline.operations.client import Client
from pipeline.operations.collections import DEFAULT
from pipeline.topology import FACES, IDENTIFICATIONS, LEDGER, OPERATIONS, STAGES

NAME = "kills"
CAMERA = "gate"
FPS = 10
FACE_TTL = 60  # the shortest there is, so that faces end while stages are killed
CLIP_SECONDS = 30.0
AGAIN_SECONDS = 60.0
GOAL_SECONDS = 3.0
GOAL_TEMPLATES = 10_000
SEARCH_SECONDS = 0.1  # between two searches, each of which takes the index's time from whoever writes
PAUSE = (0.2, 1.2)  # seconds between a result and the next kill, drawn evenly


@dataclass(frozen=True, slots=True)
class Series:
    """The kills of one process: seconds from the kill to its next result, with so many templates enrolled."""

    process: str
    templates: int
    seconds: tuple[float, ...]

    def row(self) -> Row:
        """Median and worst; the goal is for stages, and for the larger gallery."""
        what = f"{self.process}, {len(self.seconds)} kills, {self.templates} templates: to the next result, worst"
        worst, median = max(self.seconds), statistics.median(self.seconds)
        if self.process == KAFKA or self.templates < GOAL_TEMPLATES:
            return Row(NAME, what, f"{worst:.2f} s (median {median:.2f})")
        row = under(NAME, what, worst, GOAL_SECONDS, unit=" s")
        return Row(row.benchmark, row.what, f"{row.value} (median {median:.2f})", row.goal, row.met)


@dataclass(frozen=True, slots=True)
class Kills:
    """What a run of kills found. `unidentified` are faces for whose track nothing as new was told."""

    series: tuple[Series, ...]
    balance: Balance
    faces: int
    unidentified: int
    identifications: int
    duplicated: int

    @property
    def lost(self) -> int:
        """Frames that nothing accounts for, and faces that were never identified."""
        return self.balance.unaccounted + self.unidentified

    @property
    def sound(self) -> bool:
        return self.lost == 0 and self.duplicated == 0

    def rows(self) -> list[Row]:
        known = f"of {self.balance.sampled} frames and {self.faces} faces"
        return [
            Row(NAME, f"lost, {known}", str(self.lost), "0", self.lost == 0),
            Row(
                NAME,
                f"told twice, of {self.identifications} identifications",
                str(self.duplicated),
                "0",
                not self.duplicated,
            ),
            Row(NAME, "frames in gaps, dead letters, skipped", fates(self.balance)),
            *(each.row() for each in self.series),
        ]


def fates(balance: Balance) -> str:
    """How many frames were lost, unreadable and passed over: that is accounted for."""
    return f"{balance.gaps}, {balance.dead_letters}, {balance.skipped}"


async def run(
    bench: Bench,
    *,
    pack: str = "retail",
    kills: int = 20,
    broker_kills: int = 3,
    templates: Sequence[int] = (1_000, 10_000),
    stages: Sequence[str] = tuple(STAGES),
    seed: int = 0,
) -> Kills:
    """Kill each of `stages` `kills` times for each number of templates, then the broker `broker_kills` times."""
    bench.tell("making the clip")
    clip = await alternating(bench.folder / "kills.mp4", CLIP_SECONDS)
    camera = {"name": CAMERA, "file": str(clip), "fps": FPS, "policy": "latest", "loop": True, "face_ttl": FACE_TTL}
    topics = (FACES, IDENTIFICATIONS, LEDGER, OPERATIONS)
    async with (
        deployed(bench, pack, [camera]) as deployment,
        audited(deployment, topics) as (audit, follower),
        deployment.client() as client,
    ):
        killer = Killer(deployment, client, audit, np.random.default_rng(seed))
        await deployment.cameras[CAMERA].start()
        for count in templates:
            bench.tell(f"enrolling {count} templates")
            await filled(deployment, client, count, killer.random)
            for stage in stages:
                await killer.series(stage, count, kills)
        await killer.series(KAFKA, templates[-1], broker_kills)
        bench.tell("waiting until everything is accounted for")
        await deployment.cameras[CAMERA].stop()
        books = await deployment.drained()
        await follower.catch_up()
        await audit.answered()
        return Kills(
            tuple(killer.found),
            sum(balances(books).values(), Balance()),
            len(audit.faces),
            audit.unidentified(),
            len(audit.told),
            audit.duplicated(),
        )


@dataclass(slots=True)
class Killer:
    """Kills processes one after the other, at random moments, and notes how long each was missed."""

    deployment: Deployed
    client: Client
    audit: Audit
    random: np.random.Generator
    found: list[Series] = field(default_factory=list)

    async def series(self, process: str, templates: int, kills: int) -> None:
        """Kill a process so many times."""
        if kills == 0:
            return
        await self._flowing(process)
        seconds = []
        for number in range(kills):
            self.deployment.bench.tell(f"{templates} templates: killing {process}, {number + 1} of {kills}")
            await asyncio.sleep(self.random.uniform(*PAUSE))
            seconds.append(await self._killed(process))
        self.found.append(Series(process, templates, tuple(seconds)))

    async def _flowing(self, process: str) -> None:
        # The first face ends a minute after it was seen.
        if process in ("detect", "identify", "expire"):
            began = datetime.now(UTC)
            await until(lambda: self.audit.first(process, began) is not None, f"{process} to work", FACE_TTL + 60.0)

    async def _killed(self, process: str) -> float:
        """Seconds from the kill to the first result of the process that came after."""
        running = self.deployment.running
        before, killed = running.pids()[process], datetime.now(UTC)
        running.kill(process)
        await until(lambda: running.pids().get(process, before) != before, f"{process} to start again", AGAIN_SECONDS)
        # Whatever the broker has from now on is the new process's own: it is still loading.
        reborn = datetime.now(UTC)
        match process:
            case "enrol":
                end = await self._enrolled()
            case "control":
                await enrol(self.client, self._model, "drawn", ())
                end = await self._shown(process, reborn)
            case "erase":
                person = await enrol(self.client, self._model, "drawn", ())
                await persons.delete(self.client, DEFAULT, person, request_id=self.client.new_id())
                end = await self._shown(process, reborn)
            case _:
                end = await self._shown("identify" if process == KAFKA else process, reborn)
        return (end - killed) / timedelta(seconds=1)

    @property
    def _model(self) -> str:
        return self.deployment.settings.models.pack

    async def _shown(self, stage: str, reborn: datetime) -> datetime:
        await until(lambda: self.audit.first(stage, reborn) is not None, f"a result of {stage}", AGAIN_SECONDS)
        return self.audit.first(stage, reborn) or reborn

    async def _enrolled(self) -> datetime:
        """When a person who was enrolled after the kill is found by a search."""
        collection = await ensured(self.client, self._model)
        dimension = wiring.catalogue().pack(self._model).dimension
        portraits = drawn(1, dimension, self.random)
        await enrol(self.client, self._model, "drawn", portraits)
        with index(self.deployment, collection) as finds:
            async with asyncio.timeout(AGAIN_SECONDS):
                while not await asyncio.to_thread(finds, portraits[0]):  # noqa: ASYNC110 - Milvus sets no event
                    await asyncio.sleep(SEARCH_SECONDS)
        return datetime.now(UTC)
