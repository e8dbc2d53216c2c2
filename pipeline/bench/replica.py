"""How long a replica of the API takes to start, and how much it holds, where many are enrolled and many pass by."""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import psutil

from connectors import kafka
from connectors.keystore import KeyStore
from pipeline import codec, wiring
from pipeline.bench import Bench, Row
from pipeline.bench.caller import OPEN_TABLE, calling
from pipeline.bench.deployment import Deployed, deployed
from pipeline.bench.gallery import ensured
from pipeline.changes import Put
from pipeline.identifiers import template_key
from pipeline.lifetimes import face_end, face_key
from pipeline.records import Box, Collection, Face, Person, Recognition, Template
from pipeline.settings import API
from pipeline.topology import FACES, PERSONS, TEMPLATES, Topic

NAME = "replica"
LIFE = 86_400
# One key of a person is as good as another's here, and each costs the key store a write to the disk.
KEYS = 64
BURST = 1_000
MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Replica:
    """Seconds from the start of the process to its first answer; bytes of resident memory, empty and full."""

    persons: int
    faces: int
    seconds: tuple[float, float]
    resident: tuple[int, int]

    @property
    def sound(self) -> bool:
        return True

    def rows(self) -> list[Row]:
        (empty, full), (small, large) = self.seconds, (size / MEBIBYTE for size in self.resident)
        what = f"{self.persons} persons and {self.faces} live faces"
        return [
            Row(NAME, "start of an API replica to its first answer, empty", f"{empty:.1f} s"),
            Row(NAME, f"the same, {what}", f"{full:.1f} s"),
            Row(NAME, f"RSS, empty and with {what}", f"{small:.0f} and {large:.0f} MiB"),
        ]


async def run(bench: Bench, *, pack: str = "retail", persons: int = 100_000, faces: int = 100_000) -> Replica:
    """Start the API of a deployment without stages but control, twice: before the tables are filled, and after."""
    tables = {"api": OPEN_TABLE}
    async with deployed(bench, pack, stages=lambda name: name == "control", api=True, tables=tables) as deployment:
        empty = await _started(deployment)
        async with deployment.client() as client:
            collection = await ensured(client, pack)
        bench.tell(f"writing {persons} persons and {faces} faces")
        await _filled(deployment, collection, persons, faces)
        bench.tell("starting a replica")
        full = await _started(deployment)
    return Replica(persons, faces, (empty[0], full[0]), (empty[1], full[1]))


async def _started(deployment: Deployed) -> tuple[float, int]:
    """Seconds to the first answer of a fresh process, and its memory then."""
    await deployment.running.stop(API)
    began = time.perf_counter()
    await deployment.running.start(API)
    async with calling(deployment):
        seconds = time.perf_counter() - began
        return seconds, psutil.Process(deployment.running.pids()[API]).memory_info().rss


async def _filled(deployment: Deployed, collection: Collection, persons: int, faces: int) -> None:
    """Write what control and detect would have written, without asking them."""
    settings, home = deployment.settings, deployment.home
    plan, recognition = settings.deployment(), settings.recognition()
    dimension = wiring.catalogue().pack(recognition.pack).dimension
    vector = np.zeros(dimension, "<f4").tobytes()
    producer = kafka.producer(wiring.kafka_access(settings, home))
    await producer.start()

    async def write(topic: Topic, changes: Iterator[Put[object]], partition: Callable[[str], int]) -> None:
        sent = []
        for change in changes:
            wire = codec.encode(topic, change)
            headers = list(wire.headers)
            place = partition(change.key)
            sent.append(
                await producer.send(plan.name(topic), key=wire.key, value=wire.value, partition=place, headers=headers)
            )
            if len(sent) == BURST:
                await asyncio.gather(*sent)
                sent.clear()
        await asyncio.gather(*sent)

    scope = plan.scale.of_scope(f"{collection.kind}/{collection.id}")
    try:
        with closing(wiring.key_store(settings, home)) as keys:
            drawn = Drawn(keys, collection, recognition, vector)
            people = list(drawn.people(persons))
            await write(PERSONS, (Put(person.person_id, person) for person, _ in people), lambda _: scope)
            await write(TEMPLATES, (Put(key, template) for _, (key, template) in people), lambda _: scope)
            await write(FACES, drawn.faces(faces), plan.scale.of_face)
    finally:
        await producer.stop()


@dataclass(frozen=True, slots=True)
class Drawn:
    """Persons, templates and faces of the size that real ones have."""

    keys: KeyStore
    collection: Collection
    recognition: Recognition
    vector: bytes

    def people(self, count: int) -> Iterator[tuple[Person, tuple[str, Template]]]:
        """Persons with one template each."""
        kids, now = [self.keys.new("person") for _ in range(KEYS)], datetime.now(UTC)
        for number in range(count):
            person_id, face, kid = _id(), _id(), kids[number % KEYS]
            key = template_key(person_id, face)
            name = codec.seal(self.keys, kid, b"somebody", topic=PERSONS, key=person_id, field="name")
            sealed = codec.seal(self.keys, kid, self.vector, topic=TEMPLATES, key=key, field="vector")
            person = Person(person_id=person_id, collection=self.collection.uid, kid=kid, name=name, created=now)
            yield (
                person,
                (
                    key,
                    Template(
                        persisted_face_id=face,
                        person_id=person_id,
                        collection=self.collection.uid,
                        kind=self.collection.kind,
                        recognition=self.recognition,
                        vector=sealed,
                        quality=1.0,
                        created=now,
                    ),
                ),
            )

    def faces(self, count: int) -> Iterator[Put[object]]:
        """Faces that live for a day."""
        now = datetime.now(UTC)
        expires = face_end(now, LIFE)
        bucket = face_key(expires)
        kid = self.keys.named(bucket.name, bucket.expires)
        for _ in range(count):
            face_id = _id()
            sealed = codec.seal(
                self.keys, kid, self.vector, topic=FACES, key=face_id, field="template", expires=expires
            )
            yield Put(
                face_id,
                Face(
                    face_id=face_id,
                    expires=expires,
                    captured_at=now,
                    recognition=self.recognition,
                    template=sealed,
                    box=Box(0, 0, 100, 100),
                    landmarks=((0.0, 0.0),) * 5,
                    quality=1.0,
                ),
            )


def _id() -> str:
    return str(uuid.uuid4())
