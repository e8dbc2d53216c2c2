"""A world with faces in it: the real gallery in memory, the packs' real comparison, real training; a log of faces."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.catalogue import load_catalogue
from pipeline import codec
from pipeline.codec import Received
from pipeline.identifiers import template_key, template_owner
from pipeline.operations import collections, enrolled, persons
from pipeline.operations.faces import Faces, Measured
from pipeline.operations.indexing import Indexing
from pipeline.operations.photos import Finding, Portrait
from pipeline.operations.recogniser import Recogniser
from pipeline.operations.training import Trainer
from pipeline.records import Box, Face, Recognition, Template
from pipeline.topology import FACES, TEMPLATES, Deployment
from pipeline.views import FaceView
from pipeline.wiring.comparison import PackComparison
from pipeline.wiring.galleries.exact import ExactGallery

from .conftest import NOW, MemoryKeys, World

RETAIL = Recognition("retail")
DLIB = Recognition("dlib")
OLDER = Recognition("retail", "recognition_03")
CATALOGUE = load_catalogue()
LANDMARKS = np.array([[30, 50], [70, 50], [50, 70], [35, 90], [65, 90]], np.float32)

Vector = NDArray[np.float32]


def unit(vector: NDArray[np.float64]) -> Vector:
    scaled: Vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    return scaled


def likeness(who: int, view: int = 0, recognition: Recognition = RETAIL, likeness: float = 0.8) -> Vector:
    """A template of person `who`; two views of one person are some 0.6 alike, two persons hardly at all."""
    dimension = CATALOGUE.pack(recognition.pack).dimension
    base = np.random.default_rng([7, who]).standard_normal(dimension)
    other = np.random.default_rng([9, who, view]).standard_normal(dimension)
    base, other = base / np.linalg.norm(base), other / np.linalg.norm(other)
    return unit(base if view == 0 else likeness * base + np.sqrt(1 - likeness**2) * other)


def portrait(vector: Vector) -> Portrait:
    return Portrait(Box(10, 20, 90, 90), 0.75, vector)


@dataclass
class FaceLog:
    """The topic `faces`: what is acknowledged is seen once the view catches up."""

    view: FaceView = field(default_factory=FaceView)
    written: list[tuple[str, int | None, bytes | None, Face]] = field(default_factory=list)
    pending: list[Received] = field(default_factory=list)

    async def send_and_wait(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: Any = None,
    ) -> None:
        change = codec.decode(FACES, key, value, headers)
        self.pending.append(Received(FACES, partition or 0, len(self.written), NOW, change))
        self.written.append((topic, partition, value, change.value))  # type: ignore[union-attr]

    async def catch_up(self) -> None:
        while self.pending:
            self.view.apply(self.pending.pop(0))


@dataclass
class Indexed:
    """How far the index has come: behind everything, unless a test holds it back."""

    position: int = 1 << 40

    def committed(self, group: str, topic: str) -> Mapping[int, int]:
        return {0: self.position}


@dataclass
class Lab:
    """What a test needs at hand; the clock stands until it is moved."""

    world: World
    recogniser: Recogniser
    log: FaceLog
    keys: MemoryKeys
    indexed: Indexed
    now: datetime = NOW
    opened: list[str] = field(default_factory=list)

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    async def face(self, vector: Vector, recognition: Recognition = RETAIL, seconds: int = 86_400) -> str:
        """A faceId of the API for this template."""
        measured = Measured(Finding(Box(10, 20, 90, 90), LANDMARKS, 0.9), portrait(vector))
        (face_id,) = await self.recogniser.faces.issue([measured], recognition, seconds)
        return face_id

    async def person(self, scope: str, *vectors: Vector, recognition: Recognition = RETAIL) -> str:
        """Somebody enrolled with these templates."""
        client = self.world.client
        portraits = [portrait(vector) for vector in vectors]
        made = await persons.add(
            client, scope, "Ada", portraits, recognition=recognition if vectors else None, request_id=client.new_id()
        )
        await client.catch_up()
        return made

    async def collection(self, scope: str, recognition: Recognition | None = RETAIL, *members: str) -> None:
        client = self.world.client
        await collections.add(
            client, scope, recognition=recognition, name="it", members=members, request_id=client.new_id()
        )
        await client.catch_up()

    async def listed(self, scope: str, vector: Vector, recognition: Recognition = RETAIL) -> str:
        """A face added to a face list; its persistedFaceId."""
        client = self.world.client
        face = await enrolled.add(
            client, scope, None, portrait(vector), recognition=recognition, request_id=client.new_id()
        )
        await client.catch_up()
        return face

    async def trained(self, scope: str) -> None:
        client = self.world.client
        await self.recogniser.trainer.begin(client, scope, request_id=client.new_id())
        await client.catch_up()

    async def forget(self, scope: str, person_id: str) -> None:
        client = self.world.client
        await persons.delete(client, scope, person_id, request_id=client.new_id())
        await client.catch_up()


def laboratory(world: World) -> Lab:
    """The recogniser of a world, as the wiring puts it together."""
    keys, log, indexed = world.keys, FaceLog(), Indexed()

    def opened(face: Face) -> Vector | None:
        if face.template.kid not in keys.alive:
            return None
        plain = codec.unseal(keys, face.template, topic=FACES, key=face.face_id, field="template", expires=face.expires)
        return np.frombuffer(plain, "<f4")

    def enrolled_vector(template: Template) -> Vector | None:
        key = template_key(template_owner(template), template.persisted_face_id)
        lab.opened.append(template.persisted_face_id)
        plain = keys.unseal(template.vector, topic=TEMPLATES, key=key, field="vector")
        return None if plain is None else np.frombuffer(plain, "<f4")

    deployment = Deployment()
    faces = Faces(
        view=log.view,
        catch_up=log.catch_up,
        producer=log,
        deployment=deployment,
        keys=keys,
        open_face=opened,
        clock=lambda: lab.now,
        new_id=world.client.new_id,
    )
    recogniser = Recogniser(
        faces=faces,
        gallery=ExactGallery.following(world.tables.live, enrolled_vector, CATALOGUE),
        comparison=PackComparison.of(CATALOGUE, {}),
        trainer=Trainer(indexed, deployment),
        indexing=Indexing(),
        open_template=enrolled_vector,
    )
    lab = Lab(world, recogniser, log, keys, indexed)
    return lab
