"""Whoever asks: operators who enrol and forget people, and cameras that people pass."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from connectors import kafka
from pipeline import codec
from pipeline.bench.simulation.checker import Checker
from pipeline.bench.simulation.deployment import DEPLOYMENT, PACK, SCALE, Machine
from pipeline.bench.simulation.gallery import Row
from pipeline.changes import Put
from pipeline.lifetimes import face_end, face_key
from pipeline.operations import Refused, Unanswered, collections, enrolled, persons
from pipeline.operations.ask import Asker
from pipeline.operations.client import Client, Tables, followed
from pipeline.operations.photos import Portrait
from pipeline.records import Box, Face, FrameId, Recognition, Shot, Watch
from pipeline.topology import FACES
from pipeline.views import Follower
from pipeline.wiring.asking import Opener, SealingKeys

T = TypeVar("T")
PEOPLE, GUESTS, STAFF = "largepersongroup/people", "persongroup/guests", "persongroup/staff"
LIST = "facelist/wanted"
RECOGNITION = Recognition(PACK)
SUBJECTS = 6
ALSO_ASKED = 0.3  # the share of deletions that somebody else asks for, too
BOX = Box(0, 0, 100, 100)
LANDMARKS = ((30.0, 50.0), (70.0, 50.0), (50.0, 70.0), (35.0, 90.0), (65.0, 90.0))


def _vector(subject: int) -> NDArray[np.float32]:
    """What everybody measures of a subject's face."""
    vector = np.zeros(128, np.float32)
    vector[subject] = 1.0
    return vector


@dataclass(frozen=True, slots=True)
class Enrolled:
    """Somebody whose enrolment was acknowledged."""

    person_id: str
    scope: str
    subject: int


@dataclass
class People:
    """One operator's client, one producer of faces, and what both have done."""

    machine: Machine
    chance: random.Random
    checker: Checker
    client: Client
    producer: Any
    second: random.Random  # who also asks for a deletion, and when
    known: list[Enrolled] = field(default_factory=list)
    faces: int = 0
    in_view: int = 0  # the subject that a camera saw last
    leaving: int = 0  # the subject whose deletion was asked for last
    patience: float = 0.0  # the longest that anybody waited for the acknowledgement of a deletion
    _requests: int = 0
    _last: Face | None = None

    async def answered(self, ask: Callable[[str], Awaitable[T]]) -> T:
        """Ask until there is an answer: the same request finds its first outcome."""
        self._requests += 1
        request = f"request-{self._requests}"
        while True:
            try:
                return await ask(request)
            except Unanswered:
                self.machine.broker.saw("a request was asked again")

    async def open_collection(self, scope: str) -> None:
        await self.answered(
            lambda request: collections.add(
                self.client, scope, recognition=RECOGNITION, name="a collection", request_id=request
            )
        )
        await self.client.catch_up()

    async def enrol(self, scope: str, subject: int) -> Enrolled:
        """A person with one template; the gallery has it when this returns. Refused where the collection is gone."""
        portrait = Portrait(BOX, 0.9, _vector(subject))
        person_id = await self.answered(
            lambda request: persons.add(
                self.client, scope, "a name", [portrait], recognition=RECOGNITION, request_id=request
            )
        )
        await self.client.catch_up()
        self._index(person_id, subject)
        someone = Enrolled(person_id, scope, subject)
        self.known.append(someone)
        return someone

    def _index(self, person_id: str, subject: int) -> None:
        live, rows = self.client.tables.live, self.machine.gallery.rows
        there = {row.persisted_face_id for row in rows}
        for template in live.templates_of(person_id):
            if template.persisted_face_id not in there:
                kid = template.vector.kid
                rows.append(Row(template.collection, template.persisted_face_id, person_id, kid, _vector(subject)))

    async def add_face(self, someone: Enrolled) -> None:
        """One more template, of another day."""
        portrait = Portrait(BOX, 0.8, _vector(someone.subject))
        await self.answered(
            lambda request: enrolled.add(
                self.client, someone.scope, someone.person_id, portrait, recognition=RECOGNITION, request_id=request
            )
        )
        await self.client.catch_up()
        self._index(someone.person_id, someone.subject)

    async def delete_face(self, someone: Enrolled) -> None:
        """One template less; the person stays."""
        faces = self.client.tables.live.faces_of(someone.person_id)
        if len(faces) > 1:
            await self.answered(
                lambda request: enrolled.delete(
                    self.client, someone.scope, someone.person_id, faces[-1], request_id=request
                )
            )

    async def delete(self, someone: Enrolled) -> None:
        """Forget a person, and tell the checker when that is acknowledged."""
        self.known.remove(someone)
        self.leaving = someone.subject
        asking = [asyncio.create_task(self._gone(someone))]
        if self.second.random() < ALSO_ASKED:
            await asyncio.sleep(self.second.uniform(0.0, 0.5))
            asking.append(asyncio.create_task(self._gone(someone)))
        await asyncio.gather(*asking)

    async def _gone(self, someone: Enrolled) -> None:
        """By deletion or by refusal: either says that she is named no more."""
        with suppress(Refused):
            await self._deleted(
                lambda request: persons.delete(self.client, someone.scope, someone.person_id, request_id=request)
            )
        self.checker.acknowledge([someone.person_id])

    async def delete_collection(self, scope: str) -> None:
        """Forget a collection with everybody in it."""
        collection = self.client.tables.live.collection_of(scope)
        if collection is None:
            return
        await self._deleted(lambda request: collections.delete(self.client, scope, request_id=request))
        self.known = [each for each in self.known if each.scope != scope]
        self.checker.acknowledge(self.checker.of_collection(collection.uid))

    async def delete_collection_once(self, scope: str) -> None:
        """The same, asked for only once: Unanswered where nobody answers in time."""
        collection = self.client.tables.live.collection_of(scope)
        self.checker.deletions += 1
        await collections.delete(self.client, scope, request_id=f"only request for {scope}")
        if collection is not None:
            self.checker.acknowledge(self.checker.of_collection(collection.uid))

    async def _deleted(self, ask: Callable[[str], Awaitable[object]]) -> None:
        self.checker.deletions += 1
        began = self.machine.loop.time()
        await self.answered(ask)
        self.patience = max(self.patience, self.machine.loop.time() - began)

    async def list_face(self) -> None:
        """A face list: made with a face, or deleted."""
        if self.client.tables.live.collection_of(LIST) is not None:
            await self.delete_collection(LIST)
            return
        await self.open_collection(LIST)
        portrait = Portrait(BOX, 0.9, _vector(0))
        await self.answered(
            lambda request: enrolled.add(self.client, LIST, None, portrait, recognition=RECOGNITION, request_id=request)
        )

    async def show(
        self, camera: str, track: str, revision: int, subject: int, seconds: int, *, honest: bool = False
    ) -> None:
        """A camera publishes a face, now and then twice, and rarely one with another's template."""
        face = self._face(camera, track, revision, subject, seconds)
        if not honest and self._last is not None and self.chance.random() < 0.05:
            face = self._with_template_of(face, self._last)
        else:
            self._last = face
        self.faces += 1
        for _ in range(2 if self.chance.random() < 0.1 else 1):
            wire = codec.encode(FACES, Put(face.face_id, face))
            await self.producer.send_and_wait(
                FACES.name,
                value=wire.value,
                key=wire.key,
                partition=SCALE.of_camera(camera),
                headers=list(wire.headers),
            )

    def _face(self, camera: str, track: str, revision: int, subject: int, seconds: int) -> Face:
        now, keys = self.machine.now(), self.machine.keys()
        face_id, expires = self._drawn(), face_end(now, seconds)
        bucket = face_key(expires)
        kid = keys.named(bucket.name, bucket.expires)
        self.checker.may_live(face_id, now, seconds)
        template = codec.seal(
            keys, kid, _vector(subject).tobytes(), topic=FACES, key=face_id, field="template", expires=expires
        )
        watch = Watch(collections=(PEOPLE, GUESTS), face_ttl=seconds)
        shot = Shot(frame=FrameId(camera, "session", self.faces), track_id=track, revision=revision, watch=watch)
        return Face(
            face_id=face_id,
            expires=expires,
            captured_at=now,
            recognition=RECOGNITION,
            template=template,
            box=BOX,
            landmarks=LANDMARKS,
            quality=0.5,
            shot=shot,
        )

    def _with_template_of(self, face: Face, other: Face) -> Face:
        """What somebody who may write could try: it must open nowhere but where it was sealed for."""
        self.checker.moved.add(face.face_id)
        return msgspec.structs.replace(face, template=other.template, expires=other.expires)

    def _drawn(self) -> str:
        return str(uuid.UUID(int=self.chance.getrandbits(128), version=4))


@asynccontextmanager
async def people(machine: Machine, chance: random.Random, checker: Checker) -> AsyncIterator[People]:
    """Operators and cameras, connected as any client is."""
    producer, keys = kafka.producer(machine.access), cast(Any, machine.keys())
    await producer.start()
    asker, tables = Asker(producer, DEPLOYMENT), Tables()
    ends = kafka.consumer(machine.access, committed=False)
    await ends.start()

    def follow(topics: Any, hear: Any) -> Follower:
        return Follower(kafka.consumer(machine.access), DEPLOYMENT, topics, hear, clock=machine.now, ends=ends)

    async with followed(asker, tables, follow) as view:
        client = Client(
            principal="operator/simulation",
            asker=asker,
            tables=tables,
            keys=SealingKeys(keys),
            unseal=Opener(keys),
            catch_up=view.catch_up,
            clock=machine.now,
            new_id=lambda: str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        )
        second = random.Random(f"{machine.rows.seed}/second")  # noqa: S311 - a schedule
        yield People(machine, chance, checker, client, producer, second)
