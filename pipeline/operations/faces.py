"""The faces behind faceIds: issued sealed and with an end, found while they live, opened for one call."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline import codec
from pipeline.changes import Put
from pipeline.lifetimes import face_end, face_key
from pipeline.operations import Refused
from pipeline.operations.ask import Producer
from pipeline.operations.photos import Finding, Portrait
from pipeline.records import Face, Recognition
from pipeline.topology import FACES, Deployment
from pipeline.views import FaceView

# Of the Face API (face-contract): seconds that a faceId lives.
SHORTEST_LIFE = 60
LONGEST_LIFE = 86_400

Vector = NDArray[np.float32]


class FaceKeys(codec.Keys, Protocol):
    """What issuing needs of the key store."""

    def named(self, name: str, expires: datetime) -> str:
        """The kid of the key of this name, made where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Measured:
    """A face of an image: where it was found, and its portrait."""

    finding: Finding
    portrait: Portrait


@dataclass(frozen=True, slots=True, eq=False)
class OpenedFace:
    """A face whose template is open, vector (dimension,), for the length of one call."""

    face_id: str
    recognition: Recognition
    vector: Vector


@dataclass(frozen=True, slots=True)
class Faces:
    """The faces of cameras and of the API alike. `open_face` gives a vector, None once its key is destroyed.

    `catch_up` waits until the view shows every face that was acknowledged before.
    """

    view: FaceView
    catch_up: Callable[[], Awaitable[None]]
    producer: Producer
    deployment: Deployment
    keys: FaceKeys
    open_face: Callable[[Face], Vector | None]
    clock: Callable[[], datetime]
    new_id: Callable[[], str]

    async def issue(self, measured: Sequence[Measured], recognition: Recognition, seconds: int) -> list[str]:
        """A fresh faceId for each, which lives `seconds` and no longer; the broker has them when this returns.

        Refused where `seconds` is not 60..86400.
        """
        checked_life(seconds)
        if not measured:
            return []
        now = self.clock()
        faces = await asyncio.to_thread(self._sealed, measured, recognition, now, face_end(now, seconds))
        await asyncio.gather(*(self._publish(face) for face in faces))
        return [face.face_id for face in faces]

    def _sealed(
        self, measured: Sequence[Measured], recognition: Recognition, now: datetime, expires: datetime
    ) -> list[Face]:
        key = face_key(expires)
        kid = self.keys.named(key.name, key.expires)
        faces = []
        for each in measured:
            face_id = self.new_id()
            vector = each.portrait.template.astype("<f4").tobytes()
            template = codec.seal(self.keys, kid, vector, topic=FACES, key=face_id, field="template", expires=expires)
            faces.append(
                Face(
                    face_id=face_id,
                    expires=expires,
                    captured_at=now,
                    recognition=recognition,
                    template=template,
                    box=each.portrait.box,
                    landmarks=tuple((float(x), float(y)) for x, y in each.finding.landmarks),
                    quality=each.portrait.quality,
                )
            )
        return faces

    async def _publish(self, face: Face) -> None:
        wire = codec.encode(FACES, Put(face.face_id, face))
        await self.producer.send_and_wait(
            self.deployment.name(FACES),
            value=wire.value,
            key=wire.key,
            partition=self.deployment.scale.of_face(face.face_id),
            headers=list(wire.headers),
        )

    async def found(self, face_ids: Sequence[str]) -> list[Face]:
        """The faces of these ids, in their order; Refused (FaceNotFound) where one has expired or never was."""
        now = self.clock()
        if any(self.view.find(each, now) is None for each in face_ids):
            await self.catch_up()
        faces = []
        for each in face_ids:
            face = self.view.find(each, now)
            if face is None:
                raise _not_found(each)
            faces.append(face)
        return faces

    async def opened(self, face_ids: Sequence[str]) -> list[OpenedFace]:
        """The faces of these ids with their vectors, in their order; Refused (FaceNotFound) as `found` does."""
        faces = await self.found(face_ids)
        return await asyncio.to_thread(lambda: [self._open(face) for face in faces])

    def _open(self, face: Face) -> OpenedFace:
        vector = self.open_face(face)
        if vector is None:
            raise _not_found(face.face_id)
        return OpenedFace(face.face_id, face.recognition, vector)


def checked_life(seconds: int) -> int:
    """The seconds themselves; Refused where a faceId may not live so long, or so short."""
    if not SHORTEST_LIFE <= seconds <= LONGEST_LIFE:
        raise Refused(f"a faceIdTimeToLive of {seconds}: give {SHORTEST_LIFE} to {LONGEST_LIFE} seconds")
    return seconds


def _not_found(face_id: str) -> Refused:
    return Refused(f"there is no face {face_id}: it has expired, or never was; detect it again", "FaceNotFound")
