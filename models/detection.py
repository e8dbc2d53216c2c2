"""What every detector gives, and what every detector does around its network: shrink the image, suppress doubles."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Detection:
    """One face, in pixels of the whole image."""

    box: tuple[float, float, float, float]
    """left, top, width, height"""
    score: float
    """the detector's own confidence: 0..1 (YuNet, SCRFD) or an unbounded margin (MMOD); comparable within one pack"""
    landmarks: NDArray[np.float32]
    """[5, 2], x and y of the eyes, the nose tip and the mouth corners, the left of the image first"""


def shrink(image: NDArray[np.uint8], longest_side: int) -> tuple[NDArray[np.uint8], float]:
    """The image at most `longest_side` px long, and the factor to divide its coordinates by; never enlarged.

    Detectors lose very large faces at full resolution (measured: SCRFD finds 74 of 94 faces at 1280 px, all at 640).
    """
    height, width = image.shape[:2]
    scale = min(1.0, longest_side / max(height, width))
    if scale == 1.0:
        return image, scale
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8), scale


def suppress(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], landmarks: NDArray[np.float32], overlap: float
) -> list[Detection]:
    """Greedy non-maximum suppression: the best box of every group whose intersection over union exceeds `overlap`.

    boxes float32 [n, 4] left, top, width, height; scores float32 [n]; landmarks float32 [n, 5, 2]. Best
    score first; a score is above 0.
    """
    if not len(boxes):
        return []
    kept = cv2.dnn.NMSBoxes(boxes.tolist(), scores.tolist(), 0.0, overlap)
    return [detection(boxes[index], float(scores[index]), landmarks[index]) for index in np.asarray(kept).ravel()]


def detection(box: NDArray[np.float32], score: float, landmarks: NDArray[np.float32]) -> Detection:
    left, top, width, height = (float(value) for value in box)
    return Detection((left, top, width, height), score, landmarks.astype(np.float32))
