"""Real photos through real models: the face that is meant, or the reason why there is none."""

import json
from pathlib import Path

import numpy as np
import pytest

from models.catalogue import load_catalogue
from models.image import encode_jpeg
from models.pack import load
from models.store import ModelStore
from pipeline.operations import Refused
from pipeline.operations.photos import Choice, Finding, Portrait, area, portrait
from pipeline.records import Box
from pipeline.wiring.asking import ModelPortraitist


@pytest.fixture(scope="module")
def retail(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelPortraitist:
    pack = load_catalogue().pack("retail")
    files = ModelStore(tmp_path_factory.mktemp("models")).ensure(pack, source=shared / "models")
    return ModelPortraitist(load(pack, files))


def taken(models: ModelPortraitist, photo: Path, choice: Choice | None = None) -> Portrait:
    return portrait(photo.name, photo.read_bytes(), models, choice or Choice())


def test_two_photos_of_one_person_are_more_alike_than_of_two(retail: ModelPortraitist, shared: Path) -> None:
    people = shared / "media" / "people"
    one, same, other = (taken(retail, people / name) for name in ("obama.jpg", "obama2.jpg", "biden.jpg"))
    similarity = retail.models.similarity
    assert similarity(one.template, same.template) > retail.models.threshold > similarity(one.template, other.template)
    assert 0 <= one.quality <= 1
    assert min(one.box.width, one.box.height) >= retail.minimum_face


def test_photo_of_several_needs_a_choice(retail: ModelPortraitist, shared: Path) -> None:
    photo = shared / "media" / "people" / "obama_and_biden.jpg"
    with pytest.raises(Refused, match=r"^obama_and_biden.jpg: 3 faces; .*--largest") as refused:
        taken(retail, photo)
    rectangles = str(refused.value).rpartition(": ")[2].split(" or ")
    biden = taken(retail, photo.with_name("biden.jpg"))
    alike = []
    for rectangle in rectangles:
        left, top, width, height = (int(number) for number in rectangle.split(","))
        face = taken(retail, photo, Choice(face=Box(left, top, width, height)))
        alike.append(retail.models.similarity(face.template, biden.template) > retail.models.threshold)
    assert sorted(alike) == [False, False, True]


def test_what_is_no_photo_is_refused_by_name(retail: ModelPortraitist, tmp_path: Path) -> None:
    for content in (b"", b"no image at all", b"\xff\xd8\xff\xe0 cut short"):
        (tmp_path / "notes.jpg").write_bytes(content)
        with pytest.raises(Refused, match=r"^notes.jpg: .*JPEG"):
            taken(retail, tmp_path / "notes.jpg")


def test_photo_without_a_face_is_refused_by_name(retail: ModelPortraitist) -> None:
    grey = encode_jpeg(np.full((240, 320, 3), 127, np.uint8))
    with pytest.raises(Refused, match=r"^wall.jpg: no face found"):
        portrait("wall.jpg", grey, retail, Choice())


def test_a_face_is_described_in_the_words_of_the_face_api(retail: ModelPortraitist, shared: Path) -> None:
    image = retail.decode((shared / "media" / "people" / "obama.jpg").read_bytes())
    face = max(retail.find(image), key=area)
    wanted = frozenset({"blur", "headPose", "qualityForRecognition"})
    told = retail.attributes(image, face, wanted)
    assert told.keys() == wanted
    assert told["qualityForRecognition"] in ("low", "medium", "high")
    assert told["blur"].keys() == {"blurLevel", "value"}
    assert told["headPose"].keys() == {"pitch", "roll", "yaw"}
    assert json.loads(json.dumps(told)) == told
    assert list(face.seen) == ["pupilLeft", "pupilRight", "noseTip", "mouthLeft", "mouthRight"]


def test_what_cannot_be_measured_is_refused_by_name(retail: ModelPortraitist) -> None:
    image, landmarks = np.zeros((100, 100, 3), np.uint8), np.zeros((5, 2), np.float32)
    two_eyes = Finding(Box(0, 0, 50, 50), landmarks, 0.9, ("pupilLeft", "pupilRight"))
    for name in ("glasses", "headPose"):
        with pytest.raises(Refused, match=rf"{name} cannot be measured here; there is blur, exposure"):
            retail.attributes(image, two_eyes, frozenset({name, "blur"}))
