"""Builds a runnable pack from the catalogue's description and its files: the one place that knows every model kind."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models import ModelError
from models.align import TEMPLATES
from models.catalogue import Metric, MmodSpec, Pack, ScrfdSpec, YuNetSpec
from models.detection import Detection
from models.detectors import Detector, Mmod, Scrfd, YuNet
from models.embedder import Embedder
from models.session import Provider, Session, reason
from models.shape_predictor import ShapePredictor

__all__ = ["Detection", "FaceModels", "load"]


@dataclass(frozen=True, slots=True)
class FaceModels:
    """A detector and a recogniser, loaded. Safe to share between threads; images are uint8 [height, width, 3] BGR."""

    name: str
    dimension: int
    metric: Metric
    threshold: float
    """on `similarity`: the cosine, or 1 - Euclidean distance"""
    minimum_face: int
    provider: Provider
    """where the networks really run"""
    detector: Detector
    embedder: Embedder

    def try_out(self) -> None:
        """Runs both networks once, on a black image; ModelError, in one line, where they load and do not run."""
        template = self.embedder.template
        image = np.zeros((template.size, template.size, 3), np.uint8)
        try:
            self.detect(image)
            self.embed(image, [template.points.astype(np.float32)])
        except ModelError:
            raise
        except Exception as error:
            # onnxruntime's exceptions share no base class but this one
            raise ModelError(
                f"pack {self.name} is loaded on {self.provider} and fails there: {reason(error)}"
            ) from error

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """The faces of an image, the best score first, boxes cut at the image's borders."""
        height, width = image.shape[:2]
        cut = [_inside(found, width, height) for found in self.detector.detect(image)]
        return [found for found in cut if min(found.box[2:]) >= 1]

    def embed(self, image: NDArray[np.uint8], landmarks: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Templates float32 [n, dimension], of unit length when the metric is "cosine", for these faces.

        Each landmarks array is a Detection's: float32 [5, 2] px of this image.
        """
        return self.embedder.embed(image, landmarks)

    def similarity(self, one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
        """How alike two templates, float32 [dimension], are: at or above `threshold` they are called one person."""
        if self.metric == "cosine":
            return float(np.dot(one, other))
        return 1.0 - float(np.linalg.norm(one - other))


def load(pack: Pack, files: Mapping[str, Path], *, provider: Provider = "cpu", threads: int = 1) -> FaceModels:
    """The pack, ready to run, from the files that ModelStore.ensure gave.

    `threads` per network: one single-threaded worker per core beats several threads in one session.
    Raises ModelError where a file is missing or not the pinned one, and where `provider` cannot be had.
    """
    contents = {file.name: _pinned(files[file.name], file.sha256) for file in pack.files}

    def session(name: str) -> Session:
        return Session(name, contents[name], provider=provider, threads=threads)

    detector: Detector
    match pack.detector:
        case YuNetSpec(model, score, overlap, longest_side):
            detector = YuNet(session(model), score, overlap, longest_side)
        case ScrfdSpec(model, score, overlap, longest_side):
            detector = Scrfd(session(model), score, overlap, longest_side)
        case MmodSpec(model, landmarks, score, overlap, longest_side, upsample):
            predictor = ShapePredictor(contents[landmarks])
            detector = Mmod(session(model), predictor, score, overlap, longest_side, upsample)
    recogniser = session(pack.embedder.model)
    embedder = Embedder(
        recogniser,
        TEMPLATES[pack.embedder.template],
        pack.embedder.colour,
        pack.embedder.mean,
        pack.embedder.scale,
        pack.dimension,
        unit_length=pack.metric == "cosine",
        fixed_batch=recogniser.provider == "cuda",
    )
    return FaceModels(
        pack.name,
        pack.dimension,
        pack.metric,
        pack.threshold,
        pack.minimum_face,
        recogniser.provider,
        detector,
        embedder,
    )


def _pinned(path: Path, expected: str) -> bytes:
    """The very bytes that were checked: nobody can change the file between the check and its use."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"the model file {path} cannot be read ({error.strerror}): fetch the pack again") from error
    if sha256(content).hexdigest() != expected:
        raise ModelError(f"the model file {path} is not the one of the catalogue: delete it and fetch the pack again")
    return content


def _inside(found: Detection, width: int, height: int) -> Detection:
    left, top, box_width, box_height = found.box
    right, bottom = min(left + box_width, width), min(top + box_height, height)
    left, top = max(left, 0.0), max(top, 0.0)
    return Detection((left, top, right - left, bottom - top), found.score, found.landmarks)
