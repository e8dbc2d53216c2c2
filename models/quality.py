"""Judges how well a face can be recognised, to choose a track's best shot; not to turn anybody away.

Blur and light choose well among frames of one person and refuse badly between persons (measured: a luma gate of 40 lost
a good track), so these are factors of a score and no limits.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from models.align import ARCFACE, align
from models.detection import Detection

SHARP_ENOUGH = 100.0  # Laplacian variance at which blur stops to matter much
LARGE_ENOUGH = 112.0  # px: a recogniser's chip is filled without enlarging
PROFILE = 0.45  # yaw proxy beyond which every detector and recogniser measured fails
DARK, DIM, BRIGHT, GLARING = 30.0, 70.0, 200.0, 245.0  # mean luma


@dataclass(frozen=True, slots=True)
class Quality:
    """What can be said about one face in one frame."""

    sharpness: float
    """variance of the Laplacian of the aligned 112 px chip, grey levels squared, from 0"""
    brightness: float
    """mean luma of the chip, 0..255"""
    yaw: float
    """|nose offset from the middle of the eyes, along the line of the eyes| / distance of the eyes; 0 = frontal"""
    size: float
    """the shorter side of the box, px"""
    detection: float
    """the detector's score"""
    score: float
    """0..1, for choosing the best shot: the product of one factor 0..1 each for sharpness, light, pose and size"""


def quality(image: NDArray[np.uint8], found: Detection) -> Quality:
    """The quality of a face in a uint8 [height, width, 3] BGR image."""
    grey = cv2.cvtColor(align(image, found.landmarks, ARCFACE), cv2.COLOR_BGR2GRAY)
    sharpness = float(cv2.Laplacian(grey, cv2.CV_64F).var())
    brightness = float(grey.mean())
    yaw, size = yaw_proxy(found.landmarks), min(found.box[2:])
    factors = (
        sharpness / (sharpness + SHARP_ENOUGH),
        float(np.interp(brightness, (DARK, DIM, BRIGHT, GLARING), (0.1, 1.0, 1.0, 0.1))),
        float(np.interp(yaw, (0.0, PROFILE), (1.0, 0.1))),
        min(1.0, size / LARGE_ENOUGH),
    )
    return Quality(sharpness, brightness, yaw, size, found.score, float(np.prod(factors)))


def yaw_proxy(landmarks: NDArray[np.float32]) -> float:
    """0 for a frontal face, about 0.45 where it becomes a profile; landmarks float32 [5, 2] px."""
    left_eye, right_eye, nose = landmarks[0], landmarks[1], landmarks[2]
    axis = right_eye - left_eye
    length = float(np.dot(axis, axis))
    if length == 0:
        return 1.0
    return abs(float(np.dot(nose - (left_eye + right_eye) / 2, axis))) / length
