"""Judges how well a face can be recognised: a score to choose a track's best shot, a level to advise a caller.

Blur and light choose well among frames of one person and refuse badly between persons (measured: a luma gate of 40 lost
a good track), so these are factors of a score and no limits. The level is advice, too: nobody is turned away for it.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models import photometry
from models.detection import Detection

Level = Literal["low", "medium", "high"]

LARGE_ENOUGH = 112.0  # px: a recogniser's chip is filled without enlarging
PROFILE = 0.45  # yaw proxy beyond which every detector and recogniser measured fails
DARK, DIM, BRIGHT, GLARING = 0.15, 0.25, 0.75, 0.95  # exposure


@dataclass(frozen=True, slots=True)
class Limits:
    """What a face must have, all of it, to reach a level."""

    size: float
    """px, at least"""
    blur: float
    """at most"""
    yaw: float
    """the proxy, at most"""
    exposure: tuple[float, float]
    """from, to"""


# Chosen on degraded photos (`faceline bench quality`), on which leaving out the low ones brings false non-matches from
# 22.6 to 1.3 % (retail) and from 36 to 5 % (dlib): recognisers fail at blur and at burnt out skin, hardly in the dark.
# 36 px is the Face service's smallest face.
MEDIUM = Limits(size=36.0, blur=0.5, yaw=PROFILE, exposure=(0.1, 0.9))
HIGH = Limits(size=LARGE_ENOUGH, blur=0.25, yaw=0.2, exposure=(DIM, BRIGHT))


@dataclass(frozen=True, slots=True)
class Quality:
    """What can be said about one face in one frame."""

    blur: float
    """0 sharp .. 1 blurred, see models.photometry"""
    exposure: float
    """0 black .. 1 white"""
    yaw: float
    """|nose offset from the middle of the eyes, along the line of the eyes| / distance of the eyes; 0 = frontal"""
    size: float
    """the shorter side of the box, px"""
    detection: float
    """the detector's score"""

    @property
    def score(self) -> float:
        """0..1, for choosing the best shot: the product of one factor 0..1 each for sharpness, light, pose and size."""
        factors = (
            float(np.interp(self.blur, (0.0, 1.0), (1.0, 0.1))),
            float(np.interp(self.exposure, (DARK, DIM, BRIGHT, GLARING), (0.1, 1.0, 1.0, 0.1))),
            float(np.interp(self.yaw, (0.0, PROFILE), (1.0, 0.1))),
            min(1.0, self.size / LARGE_ENOUGH),
        )
        return float(np.prod(factors))

    @property
    def level(self) -> Level:
        """As good as the worst of size, blur, pose and light; the Face service's qualityForRecognition.

        "high" is meant for enrolment, "medium" or better for identification.
        """
        if self._reaches(HIGH):
            return "high"
        return "medium" if self._reaches(MEDIUM) else "low"

    def _reaches(self, limits: Limits) -> bool:
        least, most = limits.exposure
        sharp = self.blur <= limits.blur
        return self.size >= limits.size and sharp and self.yaw <= limits.yaw and least <= self.exposure <= most


def quality(image: NDArray[np.uint8], found: Detection) -> Quality:
    """The quality of a face in a uint8 [height, width, 3] BGR image."""
    grey = photometry.chip(image, found.landmarks)
    return Quality(
        blur=photometry.blur(grey),
        exposure=photometry.exposure(grey),
        yaw=yaw_proxy(found.landmarks),
        size=min(found.box[2:]),
        detection=found.score,
    )


def yaw_proxy(landmarks: NDArray[np.float32]) -> float:
    """0 for a frontal face, about 0.45 where it becomes a profile; landmarks float32 [5, 2] px.

    It needs no mouth: where a detector sees all five landmarks, models.pose says the angle.
    """
    left_eye, right_eye, nose = landmarks[0], landmarks[1], landmarks[2]
    axis = right_eye - left_eye
    length = float(np.dot(axis, axis))
    if length == 0:
        return 1.0
    return abs(float(np.dot(nose - (left_eye + right_eye) / 2, axis))) / length
