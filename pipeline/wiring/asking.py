"""What the operations need of the outside: a client of `control` on Kafka, photos measured by the models."""

import asyncio
import getpass
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

import msgspec
import numpy as np
from aiokafka import AIOKafkaConsumer  # type: ignore[import-untyped]
from aiokafka.errors import KafkaConnectionError  # type: ignore[import-untyped]
from numpy.typing import NDArray

from connectors import ServiceRefused, ServiceUnavailable, kafka
from connectors.kafka import KafkaAccess
from connectors.kafka_admin import KafkaAdmin
from connectors.keystore import KeyDestroyed, KeyStore, SealBroken, wall_clock
from models import landmarks
from models.catalogue import load_catalogue
from models.detection import Detection
from models.image import UnreadableImage, decode
from models.pack import FaceModels
from models.quality import quality
from pipeline import codec
from pipeline.changes import applied
from pipeline.codec import Received
from pipeline.operations import Forgotten, Refused
from pipeline.operations.ask import ANSWER_SECONDS, Asker
from pipeline.operations.client import FOLLOWED, Client, Tables, followed
from pipeline.operations.photos import Finding, Portrait, UnreadablePhoto
from pipeline.records import DEFAULT_RECOGNITION, Box, Identification, Recognition, RecognitionModel, Sealed
from pipeline.topology import COMMANDS, IDENTIFICATIONS, Deployment, Topic
from pipeline.views import Follower


@dataclass(frozen=True, slots=True)
class ModelPortraitist:
    """Measures the faces of photos with a model pack."""

    models: FaceModels
    name: RecognitionModel = DEFAULT_RECOGNITION

    @property
    def recognition(self) -> Recognition:
        return Recognition(self.models.name, self.name)

    @property
    def minimum_face(self) -> int:
        return self.models.minimum_face

    def decode(self, content: bytes) -> NDArray[np.uint8]:
        try:
            return decode(content)
        except UnreadableImage as error:
            raise UnreadablePhoto(str(error)) from None

    def find(self, image: NDArray[np.uint8]) -> Sequence[Finding]:
        seen = _seen(self.models.name)
        return [
            Finding(Box(*(round(length) for length in each.box)), each.landmarks, each.score, seen)
            for each in self.models.detect(image)
        ]

    def attributes(self, image: NDArray[np.uint8], face: Finding, wanted: frozenset[str]) -> Mapping[str, Any]:
        from models.attributes import HEAD_POSE, MEASURABLE, measure  # they load SciPy, and a command asks for none

        measurable = [name for name in MEASURABLE if name != HEAD_POSE or len(face.seen) == len(face.landmarks)]
        if unknown := wanted - set(measurable):
            raise Refused(
                f"'returnFaceAttributes' is invalid: {', '.join(sorted(unknown))} cannot be measured here; there is "
                f"{', '.join(measurable)}"
            )
        told: dict[str, Any] = msgspec.to_builtins(measure(image, _detection(face), wanted))
        return told

    def portray(self, image: NDArray[np.uint8], face: Finding) -> Portrait:
        template = self.models.embed(image, [face.landmarks])[0]
        return Portrait(face.box, quality(image, _detection(face)).score, template)


@cache
def _seen(pack: str) -> Sequence[str]:
    return landmarks.seen(load_catalogue().pack(pack))


def _detection(face: Finding) -> Detection:
    box = face.box
    return Detection((box.left, box.top, box.width, box.height), face.score, face.landmarks)


@dataclass(frozen=True, slots=True)
class SealingKeys:
    """The key store, as operations write with it."""

    keys: KeyStore

    def new(self, owner_kind: str, expires: datetime | None = None) -> str:
        return self.keys.new(owner_kind, expires)

    def destroy(self, kids: Iterable[str]) -> None:
        self.keys.destroy(kids)

    def seal(self, kid: str, plaintext: bytes, associated: bytes) -> tuple[bytes, bytes]:
        try:
            return self.keys.seal(kid, plaintext, associated)
        except KeyDestroyed:
            raise Forgotten from None

    def open(self, kid: str, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes:
        return self.keys.open(kid, nonce, ciphertext, associated)


@dataclass(frozen=True, slots=True)
class Opener:
    """Opens names; None once the key is destroyed, or where a ciphertext does not belong where it stands."""

    keys: KeyStore

    def __call__(self, sealed: Sealed, *, topic: Topic, key: str, field: str) -> bytes | None:
        try:
            return codec.unseal(self.keys, sealed, topic=topic, key=key, field=field)
        except (KeyDestroyed, SealBroken):
            return None


def reader(access: KafkaAccess) -> AIOKafkaConsumer:
    """A consumer of committed records, as any application has it: without a group, not yet started."""
    return kafka.consumer(access)


async def everything_told(access: KafkaAccess, deployment: Deployment) -> list[Identification]:
    """The identifications that the topic holds now, the last word of each track."""
    told: dict[str, Identification] = {}

    def take(received: Received) -> None:
        applied(told, received.change)

    view = Follower(reader(access), deployment, (IDENTIFICATIONS,), take, clock=wall_clock)
    try:
        await view.start()
    finally:
        await view.stop()
    return sorted(told.values(), key=lambda each: each.captured_at)


def operator() -> str:
    """The principal of the command line: who is logged in on this machine."""
    return f"operator/{getpass.getuser()}"


def check_topics(access: KafkaAccess, deployment: Deployment, topics: Iterable[Topic]) -> None:
    """ServiceRefused where one is missing: a consumer would wait for ever for a topic that nobody has made."""
    with closing(KafkaAdmin(access)) as admin:
        missing = {deployment.name(topic) for topic in topics} - admin.topics()
    if missing:
        raise ServiceRefused(
            f"Kafka at {access.bootstrap} has no topic {', '.join(sorted(missing))}; "
            "create it with: faceline topics apply"
        )


@contextmanager
def answering(access: KafkaAccess) -> Iterator[None]:
    """ServiceUnavailable where Kafka is not there."""
    try:
        yield
    except KafkaConnectionError:
        raise ServiceUnavailable(
            f"Kafka at {access.bootstrap} does not answer: start it with `faceline up`, or correct the settings"
        ) from None


@asynccontextmanager
async def client(
    access: KafkaAccess,
    deployment: Deployment,
    keys: KeyStore,
    principal: str,
    now: Callable[[], datetime] = wall_clock,
    patience: float = ANSWER_SECONDS,
) -> AsyncIterator[Client]:
    """A client whose tables are replayed; it waits `patience` seconds for the outcome of a command.

    ServiceUnavailable when Kafka does not answer, ServiceRefused when it has not all the topics.
    """
    await asyncio.to_thread(check_topics, access, deployment, (COMMANDS, *FOLLOWED))
    producer = kafka.producer(access)
    asker, tables = Asker(producer, deployment, timeout=patience), Tables()
    ends = kafka.consumer(access, committed=False)

    def follow(topics: Sequence[Topic], hear: Callable[[Received], None]) -> Follower:
        return Follower(reader(access), deployment, topics, hear, clock=wall_clock, ends=ends)

    async with AsyncExitStack() as opened:
        opened.push_async_callback(producer.stop)
        opened.push_async_callback(ends.stop)
        with answering(access):
            await producer.start()
            await ends.start()
            view = await opened.enter_async_context(followed(asker, tables, follow))
        yield Client(
            principal=principal,
            asker=asker,
            tables=tables,
            keys=SealingKeys(keys),
            unseal=Opener(keys),
            catch_up=view.catch_up,
            clock=now,
            new_id=lambda: str(uuid.uuid4()),
        )
