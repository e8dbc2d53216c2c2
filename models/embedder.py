"""Turns aligned faces into templates: the vectors whose similarity says whether two faces are one person."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from models import ModelError
from models.align import Template, align
from models.session import Session

BATCH = 8  # beyond eight faces a batch gains nothing on a CPU and only costs memory


@dataclass(frozen=True, slots=True)
class Embedder:
    """A recognition network with its preprocessing: (pixel - mean) * scale, in its own channel order."""

    session: Session
    template: Template
    colour: Literal["bgr", "rgb"]
    mean: float
    scale: float
    dimension: int
    unit_length: bool
    fixed_batch: bool = False
    """always run BATCH faces, the last one repeated: CUDA plans every new size for up to a second, and then runs eight
    faces as fast as one"""

    def embed(self, image: NDArray[np.uint8], landmarks: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Templates float32 [n, dimension] of n faces, each given by its landmarks, float32 [5, 2] px.

        Raises ModelError where the network gives anything but finite vectors of this dimension.
        """
        chips = [align(image, points, self.template) for points in landmarks]
        parts = [self._run(chips[start : start + BATCH]) for start in range(0, len(chips), BATCH)]
        return np.concatenate([np.empty((0, self.dimension), np.float32), *parts])

    def _run(self, chips: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        mean = (self.mean, self.mean, self.mean)
        blob = cv2.dnn.blobFromImages(chips, self.scale, mean=mean, swapRB=self.colour == "rgb")
        if self.session.input_shape[0] == 1:  # SFace's file has a batch of one built in
            vectors = np.concatenate([self.session.run(blob[index : index + 1])[0] for index in range(len(chips))])
        else:
            missing = BATCH - len(chips) if self.fixed_batch else 0
            vectors = self.session.run(np.concatenate([blob, *[blob[-1:]] * missing]))[0][: len(chips)]
        if vectors.shape != (len(chips), self.dimension) or not np.isfinite(vectors).all():
            raise ModelError(
                f"the recogniser gave {vectors.shape} instead of finite vectors of {self.dimension} numbers"
            )
        if not self.unit_length:
            return vectors
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(lengths, np.finfo(np.float32).tiny), np.float32)
