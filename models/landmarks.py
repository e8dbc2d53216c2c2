"""Names the landmarks of a face as the Face service does, those that a detector sees and no others.

The service names 27. Five-point detectors see five of them. dlib's predictor sees the corners of the eyes, hence their
middles, and the base of the nose; nose tip and mouth in its detections are a mean face's, good for an alignment only.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.catalogue import MmodSpec, Pack, ScrfdSpec, YuNetSpec

PUPILS = ("pupilLeft", "pupilRight")
FIVE = (*PUPILS, "noseTip", "mouthLeft", "mouthRight")
"""The names of a Detection's landmarks, in their order; left is the left of the image."""


def seen(pack: Pack) -> Sequence[str]:
    """The names of the landmarks that the pack's detector sees, in the order of a Detection's."""
    match pack.detector:
        case YuNetSpec() | ScrfdSpec():
            return FIVE
        case MmodSpec():
            return PUPILS


def named(landmarks: NDArray[np.float32], pack: Pack) -> dict[str, tuple[float, float]]:
    """The seen ones of a Detection's landmarks, float32 [5, 2] px: x and y by name."""
    return {name: (float(x), float(y)) for name, (x, y) in zip(seen(pack), landmarks, strict=False)}
