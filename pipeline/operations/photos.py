"""From a photo to the one face that is meant, or to the reason why there is none."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.operations import Refused
from pipeline.records import Box, Recognition

LANDMARKS = ("pupilLeft", "pupilRight", "noseTip", "mouthLeft", "mouthRight")
INVALID = "InvalidImage"  # of the Face API
LEAST_OVERLAP = 0.3  # intersection over union; detectors draw their boxes differently, neighbours do not overlap


@dataclass(frozen=True, slots=True)
class Portrait:
    """A face that was measured: quality 0..1, template float32 (dimension,) of finite numbers."""

    box: Box
    quality: float
    template: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Finding:
    """A face that was found: box and landmarks, float32 (5, 2), in pixels of the photo; the detector's own score.

    `seen` names the first of the landmarks, as the Face API does: the detector saw these, the others are a mean face's.
    """

    box: Box
    landmarks: NDArray[np.float32]
    score: float
    seen: Sequence[str] = LANDMARKS


class UnreadablePhoto(Exception):
    """These bytes are no photo; one line that says what would be."""


class Portraitist(Protocol):
    """The models, as enrolment needs them; every call blocks."""

    @property
    def recognition(self) -> Recognition:
        """What its templates may be compared with."""
        ...

    @property
    def minimum_face(self) -> int:
        """The least width and height of a face that can be recognised, in pixels."""
        ...

    def decode(self, content: bytes) -> NDArray[np.uint8]:
        """The photo upright, BGR uint8 (height, width, 3); UnreadablePhoto where it is none."""
        ...

    def find(self, image: NDArray[np.uint8]) -> Sequence[Finding]:
        """The faces of a decoded photo."""
        ...

    def portray(self, image: NDArray[np.uint8], face: Finding) -> Portrait:
        """Measure a face that `find` found in the same photo."""
        ...


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of several faces is meant: the largest, or the one at `face`, in pixels of the upright photo."""

    largest: bool = False
    face: Box | None = None


def portrait(name: str, content: bytes, models: Portraitist, choice: Choice) -> Portrait:
    """The chosen face of a photo; Refused, naming the photo, where there is none to choose."""
    try:
        image = models.decode(content)
    except UnreadablePhoto as error:
        raise Refused(f"{name}: {error}") from None
    faces = models.find(image)
    if not faces:
        raise Refused(f"{name}: no face found; give a photo that shows one from the front, upright and sharp")
    chosen = _chosen(name, faces, choice)
    if (reason := _too_small(models, chosen)) is not None:
        raise Refused(f"{name}: {reason}; give a photo taken from nearer by")
    return models.portray(image, chosen)


def decoded(content: bytes, models: Portraitist) -> NDArray[np.uint8]:
    """The image of a request, upright; Refused (InvalidImage) where these bytes are none."""
    try:
        return models.decode(content)
    except UnreadablePhoto as error:
        raise Refused(str(error), INVALID) from None


def target(image: NDArray[np.uint8], models: Portraitist, where: Box | None) -> Portrait:
    """The one face of a decoded image, or the one at `where`; Refused (InvalidImage) in the Face API's words."""
    faces = models.find(image)
    if where is not None:
        faces = [face for face in (_at(faces, where),) if face is not None]
    if not faces:
        raise Refused("No face detected in the image.", INVALID)
    if len(faces) > 1:
        raise Refused("There is more than 1 face in the image.", INVALID)
    if (reason := _too_small(models, faces[0])) is not None:
        raise Refused(reason, INVALID)
    return models.portray(image, faces[0])


def area(face: Finding) -> int:
    """The size of a face's box, in square pixels."""
    return face.box.width * face.box.height


def _too_small(models: Portraitist, face: Finding) -> str | None:
    if min(face.box.width, face.box.height) >= models.minimum_face:
        return None
    size = f"{face.box.width} x {face.box.height}"
    return f"the face is {size} pixels, {models.recognition.pack} needs {models.minimum_face}"


def _at(faces: Sequence[Finding], wanted: Box) -> Finding | None:
    """The face that lies most on the wanted box, None where none does."""
    best = max(faces, key=lambda face: _overlap(face.box, wanted), default=None)
    return None if best is None or _overlap(best.box, wanted) < LEAST_OVERLAP else best


def _chosen(name: str, faces: Sequence[Finding], choice: Choice) -> Finding:
    if (wanted := choice.face) is not None:
        best = _at(faces, wanted)
        if best is None:
            raise Refused(f"{name}: no face at {_words(wanted)}; there is one at {_listed(faces)}")
        return best
    if len(faces) > 1 and not choice.largest:
        raise Refused(
            f"{name}: {len(faces)} faces; say which one is meant with --largest, or with --face "
            f"LEFT,TOP,WIDTH,HEIGHT: {_listed(faces)}"
        )
    return max(faces, key=area)


def _listed(faces: Sequence[Finding]) -> str:
    return " or ".join(_words(face.box) for face in sorted(faces, key=lambda face: face.box.left))


def _words(box: Box) -> str:
    return f"{box.left},{box.top},{box.width},{box.height}"


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union, 0..1."""
    width = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
    height = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
    shared = max(0, width) * max(0, height)
    union = one.width * one.height + other.width * other.height - shared
    return shared / union if union else 0.0
