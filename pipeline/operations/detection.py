"""Detect: the faces of an image, each with a faceId that lives for a while, or with none and nothing kept."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.operations.faces import LONGEST_LIFE, Faces, Measured, checked_life
from pipeline.operations.photos import Finding, Portraitist, area
from pipeline.records import Box

# Of the Face API (face-contract).
MOST_FACES = 100


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of every face. Without `face_id`, no template is made; `time_to_live` is 60..86400 seconds."""

    face_id: bool = True
    time_to_live: int = LONGEST_LIFE
    landmarks: bool = False
    attributes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Detected:
    """A face: box and landmarks in pixels of the upright image, attributes by their Face API names, ready for JSON."""

    box: Box
    face_id: str | None = None
    landmarks: Mapping[str, tuple[float, float]] | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)


class Observer(Portraitist, Protocol):
    """The models, as detection needs them: they also describe a face."""

    def attributes(self, image: NDArray[np.uint8], face: Finding, wanted: frozenset[str]) -> Mapping[str, Any]:
        """The wanted attributes of a face that was found, by their Face API names, in values ready for JSON.

        Refused where one of them cannot be measured.
        """
        ...


async def detect(faces: Faces, models: Observer, image: NDArray[np.uint8], wanted: Wanted) -> list[Detected]:
    """Up to 100 faces of a decoded image, the largest first; no faces are no error.

    Refused where the `time_to_live` is out of range, or a wanted attribute cannot be measured.
    """
    checked_life(wanted.time_to_live)
    findings = await asyncio.to_thread(_found, models, image)
    attributes = await asyncio.to_thread(_attributes, models, image, findings, wanted.attributes)
    face_ids: Sequence[str | None] = [None] * len(findings)
    if wanted.face_id:
        measured = await asyncio.to_thread(_measured, models, image, findings)
        face_ids = await faces.issue(measured, models.recognition, wanted.time_to_live)
    return [
        Detected(finding.box, face_id, _landmarks(finding) if wanted.landmarks else None, each)
        for finding, face_id, each in zip(findings, face_ids, attributes, strict=True)
    ]


def _found(models: Portraitist, image: NDArray[np.uint8]) -> list[Finding]:
    """Those that can be recognised: below the models' least size, a face is a guess."""
    found = [each for each in models.find(image) if min(each.box.width, each.box.height) >= models.minimum_face]
    return sorted(found, key=area, reverse=True)[:MOST_FACES]


def _measured(models: Portraitist, image: NDArray[np.uint8], findings: Sequence[Finding]) -> list[Measured]:
    return [Measured(finding, models.portray(image, finding)) for finding in findings]


def _attributes(
    models: Observer, image: NDArray[np.uint8], findings: Sequence[Finding], wanted: frozenset[str]
) -> list[Mapping[str, Any]]:
    return [models.attributes(image, finding, wanted) if wanted else {} for finding in findings]


def _landmarks(finding: Finding) -> dict[str, tuple[float, float]]:
    return {name: (float(x), float(y)) for name, (x, y) in zip(finding.seen, finding.landmarks, strict=False)}
