"""The attributes of a face, in the words and ranges of the Face service: those that can be measured, and no guesses.

Not offered, because five landmarks and a recogniser's template do not tell: accessories, glasses, mask, occlusion, and
what the service itself has retired (age, smile, facialHair, hair, makeup, gender, emotion).
"""

from bisect import bisect_right
from collections.abc import Collection, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from models import landmarks, photometry
from models.catalogue import Pack
from models.detection import Detection
from models.pose import HeadPose, head_pose
from models.quality import Level, quality

HEAD_POSE, BLUR, EXPOSURE, NOISE, QUALITY = "headPose", "blur", "exposure", "noise", "qualityForRecognition"
MEASURABLE = (HEAD_POSE, BLUR, EXPOSURE, NOISE, QUALITY)
"""The names of all attributes that some pack can measure."""

LEVELS = ("low", "medium", "high")
BLUR_EDGES = (0.25, 0.75)  # the service names none
EXPOSURE_LEVELS, EXPOSURE_EDGES = ("underExposure", "goodExposure", "overExposure"), (0.25, 0.75)
NOISE_EDGES = (0.3, 0.7)


class Blur(Struct, frozen=True, rename="camel"):
    """low [0, 0.25), medium [0.25, 0.75), high [0.75, 1]."""

    blur_level: str
    value: float


class Exposure(Struct, frozen=True, rename="camel"):
    """underExposure [0, 0.25), goodExposure [0.25, 0.75), overExposure [0.75, 1]."""

    exposure_level: str
    value: float


class Noise(Struct, frozen=True, rename="camel"):
    """low [0, 0.3), medium [0.3, 0.7), high [0.7, 1]."""

    noise_level: str
    value: float


class FaceAttributes(Struct, frozen=True, rename="camel", omit_defaults=True):
    """What was asked for; msgspec.to_builtins makes it the service's faceAttributes, without what was not asked for."""

    head_pose: HeadPose | None = None
    blur: Blur | None = None
    exposure: Exposure | None = None
    noise: Noise | None = None
    quality_for_recognition: Level | None = None


def measurable(pack: Pack) -> Sequence[str]:
    """The names of the attributes that this pack can measure: the pose only where the detector sees all landmarks."""
    whole = landmarks.seen(pack) == landmarks.FIVE
    return tuple(name for name in MEASURABLE if whole or name != HEAD_POSE)


def measure(image: NDArray[np.uint8], found: Detection, wanted: Collection[str]) -> FaceAttributes:
    """The wanted attributes of a face in a uint8 [height, width, 3] BGR image.

    `wanted` are names among `measurable` of the pack that found the face; ValueError for any that nobody measures.
    """
    if unknown := sorted(set(wanted) - set(MEASURABLE)):
        raise ValueError(f"no pack measures {', '.join(unknown)}; there is {', '.join(MEASURABLE)}")
    judged = quality(image, found)
    return FaceAttributes(
        head_pose=head_pose(found.landmarks) if HEAD_POSE in wanted else None,
        blur=Blur(_level(judged.blur, LEVELS, BLUR_EDGES), judged.blur) if BLUR in wanted else None,
        exposure=_exposure(judged.exposure) if EXPOSURE in wanted else None,
        noise=_noise(photometry.noise(photometry.chip(image, found.landmarks))) if NOISE in wanted else None,
        quality_for_recognition=judged.level if QUALITY in wanted else None,
    )


def _exposure(value: float) -> Exposure:
    return Exposure(_level(value, EXPOSURE_LEVELS, EXPOSURE_EDGES), value)


def _noise(value: float) -> Noise:
    return Noise(_level(value, LEVELS, NOISE_EDGES), value)


def _level(value: float, names: Sequence[str], edges: Sequence[float]) -> str:
    """The name of the range that the value lies in; an edge belongs to the range above."""
    return names[bisect_right(edges, value)]
