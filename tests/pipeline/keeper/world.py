"""A deployment at work in a test's own process: who passes by, who is enrolled, who is deleted, and what was told."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors import kafka
from connectors.keystore import KeyStore, wall_clock
from pipeline.changes import Put
from pipeline.codec import Received, encode
from pipeline.galleries import Candidate, Searched
from pipeline.operations import collections, persons
from pipeline.operations.client import Client
from pipeline.operations.photos import Portrait
from pipeline.records import Box, Face, FrameId, Identification, Recognition, Sealed, Shot, Watch
from pipeline.stages.control import Control
from pipeline.stages.erase import Erase
from pipeline.stages.identify import Identify
from pipeline.topology import AUDIT, FACES, GATE, IDENTIFICATIONS
from pipeline.views import Follower, LiveSet
from pipeline.wiring.asking import client
from tests.pipeline.conftest import Cluster
from tests.pipeline.kept import kept

SCOPE = "largepersongroup/people"
MODEL = Recognition("retail")


@dataclass
class Ghostly:
    """A gallery that has never heard of a deletion: it proposes whoever was ever in it, once it may answer."""

    engine = "remembers all"
    most = 100
    proposed: list[Candidate] = field(default_factory=list)
    asked: int = 0
    answers: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.answers.set()

    def search(
        self, where: Searched, probes: NDArray[np.float32], limit: int, among: Collection[str] | None = None
    ) -> list[list[Candidate]]:
        self.asked += 1
        self.answers.wait(60)
        return [list(self.proposed) for _ in probes]


@dataclass
class World:
    """A deployment at work, and everything that was told on `identifications`, `gate` and `audit`."""

    cluster: Cluster
    asking: Client
    gallery: Ghostly
    told: list[Received] = field(default_factory=list)
    faces: int = 0

    def hear(self, received: Received) -> None:
        self.told.append(received)

    @property
    def named(self) -> dict[str, str | None]:
        """Whom the last word about each track names."""
        tracks: dict[str, str | None] = {}
        for each in self.told:
            if each.topic is IDENTIFICATIONS:
                value: Identification | None = each.change.value if isinstance(each.change, Put) else None
                tracks[each.change.key] = None if value is None else value.person_id
        return tracks

    async def until(self, holds: Any, seconds: float = 30) -> None:
        async with asyncio.timeout(seconds):
            while not holds():  # noqa: ASYNC110 - a follower tells nobody
                await asyncio.sleep(0.01)

    async def enrol(self) -> str:
        """A person whom the gallery will propose for ever."""
        portrait = Portrait(Box(0, 0, 100, 100), 0.9, np.eye(1, 8, dtype=np.float32)[0])
        new = self.asking.new_id
        await collections.ensure(self.asking, SCOPE, recognition=MODEL, request_id=new())
        person = await persons.add(self.asking, SCOPE, "Ada", [portrait], recognition=MODEL, request_id=new())
        await self.asking.catch_up()
        known = self.asking.tables.live
        (template,) = known.templates_of(person)
        self.gallery.proposed.append(Candidate(template.persisted_face_id, person, known.persons[person].kid, 0.9))
        return person

    async def pass_by(self, count: int = 8, life: timedelta = timedelta(hours=1)) -> list[str]:
        """So many tracks, in every partition, whose faces live that long; their ids."""
        producer = kafka.producer(self.cluster.access)
        await producer.start()
        tracks = []
        for _ in range(count):
            self.faces += 1
            face = camera_face(f"track-{self.faces}", life)
            wire = encode(FACES, Put(face.face_id, face))
            await producer.send_and_wait(
                self.cluster.deployment.name(FACES), wire.value, wire.key, self.faces % 4, headers=list(wire.headers)
            )
            tracks.append(f"track-{self.faces}")
        await producer.stop()
        return tracks

    async def delete(self, person: str) -> float:
        """Seconds until it was called done."""
        began = time.perf_counter()
        await persons.delete(self.asking, SCOPE, person, request_id=self.asking.new_id())
        return time.perf_counter() - began


def camera_face(track: str, life: timedelta = timedelta(hours=1)) -> Face:
    """A face that a camera saw, with a template that nobody can open."""
    now = datetime.now(UTC)
    return Face(
        face_id=f"face-of-{track}",
        expires=now + life,
        captured_at=now,
        recognition=MODEL,
        template=Sealed("0" * 32, b"\0" * 12, b"\0" * 16),
        box=Box(0, 0, 1, 1),
        landmarks=((0.0, 0.0),) * 5,
        quality=1.0,
        shot=Shot(frame=FrameId("camera", "session", 0), track_id=track, revision=0, watch=Watch(collections=(SCOPE,))),
    )


def identify(gallery: Ghostly) -> Identify:
    return Identify(gallery, LiveSet(), {MODEL.pack: 0.5}, lambda _: np.ones(8, np.float32))


@asynccontextmanager
async def at_work(cluster: Cluster, folder: Path, erase: Erase) -> AsyncIterator[World]:
    """Control and this eraser at work, and somebody who listens; who identifies, the test says."""
    keys = KeyStore.create(folder / "keys")
    async with AsyncExitStack() as stack:
        for stage in (Control(), erase):
            await stack.enter_async_context(kept(stage, cluster, keys, folder))
        asking = await stack.enter_async_context(client(cluster.access, cluster.deployment, keys, "operator/test"))
        made = World(cluster, asking, Ghostly())
        listener = Follower(
            kafka.consumer(cluster.access),
            cluster.deployment,
            (IDENTIFICATIONS, GATE, AUDIT),
            made.hear,
            clock=wall_clock,
        )
        await listener.start()
        running = asyncio.create_task(listener.run())
        try:
            yield made
        finally:
            running.cancel()
            await listener.stop()
