"""Deletes persons who are in view, without an end: the same faces, enrolled again and again as somebody new."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice

import cv2
import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition  # type: ignore[import-untyped]

from connectors.footage import portraits
from pipeline import wiring
from pipeline.bench.asking import answered
from pipeline.bench.audit import Audit
from pipeline.bench.deployment import Deployed
from pipeline.bench.ghosts import Acknowledged, Judge
from pipeline.operations import persons
from pipeline.operations.client import Client
from pipeline.operations.collections import DEFAULT
from pipeline.operations.photos import Choice, Portrait, portrait
from pipeline.records import Recognition
from pipeline.topology import IDENTIFICATIONS
from pipeline.wiring.asking import ModelPortraitist

POOL = 20  # persons with one face: a search proposes five of them, so that one who is gone has a successor
PAUSE = (0.2, 0.8)  # seconds between two deletions, drawn evenly
AT_ONCE = 20
OF_THE_NAMED = 0.8  # share of the deletions that are of somebody who was just named
LATEST = 20
LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Deletion:
    """One that was acknowledged: its operation, when it was asked for, and when the caller had the answer."""

    operation: str
    person: str
    asked: datetime
    acknowledged: datetime

    @property
    def seconds(self) -> float:
        return (self.acknowledged - self.asked) / timedelta(seconds=1)


async def faces_in_view(deployment: Deployed) -> dict[str, Portrait]:
    """The faces of the clip's people, by name, as enrolment measures them."""
    models = ModelPortraitist(await asyncio.to_thread(wiring.face_models, deployment.settings))
    found = {}
    for name, image in portraits().items():
        content = cv2.imencode(".png", image)[1].tobytes()
        found[name] = await asyncio.to_thread(portrait, name, content, models, Choice())
    return found


@dataclass(slots=True)
class Forgetting:
    """Keeps `POOL` persons of each face enrolled and deletes them at random moments, telling the judge of each.

    `ends` is a consumer of committed records that nobody reads with.
    """

    deployment: Deployed
    client: Client
    audit: Audit
    judge: Judge
    ends: AIOKafkaConsumer
    faces: Mapping[str, Portrait]
    random: np.random.Generator
    asked: int = 0
    done: list[Deletion] = field(default_factory=list)
    _living: dict[str, str] = field(default_factory=dict)

    async def fill(self) -> None:
        """Enrol until every face has its persons."""
        for face in self.faces:
            while list(self._living.values()).count(face) < POOL:
                await self._enrol(face)

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Delete and enrol while the block runs; then wait for what is still unanswered, and raise what went wrong."""
        enough = asyncio.Event()
        working = [asyncio.create_task(each) for each in (self._refill(enough), self._delete_all(enough))]
        try:
            yield
        finally:
            enough.set()
            await asyncio.gather(*working)

    async def _refill(self, enough: asyncio.Event) -> None:
        while not enough.is_set():
            await self.fill()
            await asyncio.sleep(LOOK_SECONDS)

    async def _enrol(self, face: str) -> None:
        # The name is nobody's: what is told apart here are personIds.
        request, model = self.client.new_id(), Recognition(self.deployment.settings.models.pack)
        given = [self.faces[face]]
        person = await answered(
            lambda: persons.add(self.client, DEFAULT, "in view", given, recognition=model, request_id=request)
        )
        self._living[person] = face

    async def _delete_all(self, enough: asyncio.Event) -> None:
        room, deletions = asyncio.Semaphore(AT_ONCE), []
        while not enough.is_set():
            await asyncio.sleep(self.random.uniform(*PAUSE))
            person = self._chosen()
            if person is not None:
                await room.acquire()
                del self._living[person]
                deletions.append(asyncio.create_task(self._delete(person)))
                deletions[-1].add_done_callback(lambda _: room.release())
        await asyncio.gather(*deletions)

    def _chosen(self) -> str | None:
        """Whoever was named last and still lives; now and then anybody."""
        if self.random.random() < OF_THE_NAMED:
            named = (each.identification.person_id for each in islice(reversed(self.audit.told), LATEST))
            for person in named:
                if person in self._living:
                    return person
        living = list(self._living)
        return living[self.random.integers(len(living))] if living else None

    async def _delete(self, person: str) -> None:
        request, asked = self.client.new_id(), datetime.now(UTC)
        self.asked += 1
        await answered(lambda: persons.delete(self.client, DEFAULT, person, request_id=request))
        at = datetime.now(UTC)
        self.judge.acknowledge(person, Acknowledged(at, await self._ends()))
        self.done.append(Deletion(self.client.operation_id(request), person, asked, at))

    async def _ends(self) -> dict[int, int]:
        plan = self.deployment.settings.deployment()
        partitions = range(plan.scale.partitions(IDENTIFICATIONS))
        ends = await self.ends.end_offsets([TopicPartition(plan.name(IDENTIFICATIONS), each) for each in partitions])
        return {place.partition: end for place, end in ends.items()}
