"""The eye of the detect stage: what it makes of a frame, with models that see one face wherever they look."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from connectors.keystore import KeyStore
from models.detection import Detection
from models.image import encode_jpeg
from pipeline import identifiers
from pipeline.codec import seal, unseal
from pipeline.lifetimes import face_end, frame_key
from pipeline.topology import FACES, FRAMES
from pipeline.wiring.eye import ModelEye
from tests.pipeline.examples import frame

LANDMARKS = np.array([(30, 50), (70, 50), (50, 70), (35, 90), (65, 90)], np.float32)
VECTOR = np.arange(4, dtype=np.float32)


class _Models:
    """A pack of nothing."""

    name = "prepared"
    minimum_face = 20

    def detect(self, _image: NDArray[np.uint8]) -> list[Detection]:
        return [Detection((0.0, 0.0, 100.0, 100.0), 0.9, LANDMARKS)]

    def embed(self, _image: NDArray[np.uint8], landmarks: list[Any]) -> list[NDArray[np.float32]]:
        return [VECTOR for _ in landmarks]


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[KeyStore]:
    store = KeyStore.create(tmp_path)
    yield store
    store.close()


def test_a_face_ends_as_long_after_the_broker_took_its_frame_as_its_camera_says(keys: KeyStore) -> None:
    taken, bare = datetime.now(UTC), frame()
    window = frame_key(bare.id.camera, taken)
    place, picture = identifiers.frame_place(bare.id), encode_jpeg(np.full((200, 200, 3), 127, np.uint8))
    kid = keys.named(window.name, window.expires)
    shown = msgspec.structs.replace(bare, image=seal(keys, kid, picture, topic=FRAMES, key=place, field="image"))
    eye = ModelEye(cast(Any, _Models()), keys, b"secret", "recognition_04")
    (seen,) = eye.look(shown, taken).sightings
    assert seen.expires == face_end(taken, shown.watch.face_ttl) < taken + timedelta(seconds=shown.watch.face_ttl)
    plain = unseal(keys, seen.template, topic=FACES, key=seen.face_id, field="template", expires=seen.expires)
    assert plain == VECTOR.tobytes()
