"""The detect stage's eye: opens a frame with the keys, measures it with the models, seals what it found."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from connectors.keystore import KeyDestroyed, KeyStore, SealBroken
from models import tracker
from models.detection import Detection
from models.image import UnreadableImage, decode
from models.pack import FaceModels
from models.quality import quality
from pipeline import identifiers
from pipeline.codec import seal, unseal
from pipeline.lifetimes import face_end, face_key
from pipeline.records import Box, Frame, Recognition, RecognitionModel
from pipeline.stages.detect import Image, Seen, UnseeableError
from pipeline.stages.tracks import Sighting, Thumbnail, Vector
from pipeline.topology import FACES, FRAMES


@dataclass(frozen=True, slots=True)
class ModelEye:
    """Looks with a model pack; `secret` is the deployment's, from which ids are derived."""

    models: FaceModels
    keys: KeyStore
    secret: bytes
    name: RecognitionModel

    @property
    def recognition(self) -> Recognition:
        return Recognition(self.models.name, self.name)

    def look(self, frame: Frame, appended_at: datetime) -> Seen:
        image = self._open(frame)
        found = self.models.detect(image)
        found = [face for face in found if min(face.box[2:]) >= self.models.minimum_face]
        vectors = self.models.embed(image, [face.landmarks for face in found])
        expires = face_end(appended_at, frame.watch.face_ttl)
        try:
            key = face_key(expires)
            kid = self.keys.named(key.name, key.expires)
            sightings = tuple(
                self._sighting(frame, image, index, face, vector, kid, expires)
                for index, (face, vector) in enumerate(zip(found, vectors, strict=True))
            )
        except KeyDestroyed:
            # The backlog is older than these faces may live: the frame counts as seen, its faces are gone.
            sightings = ()
        return Seen(frame, tracker.thumbnail(image), sightings)

    def _open(self, frame: Frame) -> Image:
        place = identifiers.frame_place(frame.id)
        try:
            return decode(unseal(self.keys, frame.image, topic=FRAMES, key=place, field="image"))
        except KeyDestroyed:
            raise UnseeableError("its key is destroyed: the frame is older than frames may be") from None
        except SealBroken as error:
            raise UnseeableError(str(error)) from None
        except UnreadableImage as error:
            raise UnseeableError(str(error)) from None

    def _sighting(
        self,
        frame: Frame,
        image: Image,
        index: int,
        face: Detection,
        vector: Vector,
        kid: str,
        expires: datetime,
    ) -> Sighting:
        face_id = identifiers.face_id(self.secret, frame.id, index)
        left, top, width, height = (round(value) for value in face.box)
        return Sighting(
            face_id=face_id,
            track_id=identifiers.track_id(self.secret, frame.id, index),
            box=Box(left, top, width, height),
            landmarks=tuple((float(x), float(y)) for x, y in face.landmarks),
            quality=quality(image, face).score,
            vector=vector,
            template=seal(
                self.keys,
                kid,
                np.asarray(vector, "<f4").tobytes(),
                topic=FACES,
                key=face_id,
                field="template",
                expires=expires,
            ),
            frame=frame.id,
            captured_at=frame.captured_at,
            expires=expires,
        )


@dataclass(frozen=True, slots=True)
class ModelContinuity:
    """What the models know about one passage following another."""

    models: FaceModels

    def pair(self, before: Sequence[Box], now: Sequence[Box]) -> Sequence[tuple[int, int]]:
        return tracker.associate(_corners(before), _corners(now))

    def is_cut(self, before: Thumbnail, now: Thumbnail) -> bool:
        return tracker.scene_cut(before, now)

    def is_jump(self, before: Vector, now: Vector) -> bool:
        return tracker.embeddings_jump(before, now, self.models.metric)


def _corners(boxes: Sequence[Box]) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    rows = [(box.left, box.top, box.width, box.height) for box in boxes]
    return np.asarray(rows, np.float32).reshape(-1, 4)
