"""The three face detectors: each prepares an image for its network and reads faces out of the network's maps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from models.detection import Detection, detection, shrink, suppress
from models.session import Session
from models.shape_predictor import ShapePredictor, five_landmarks

Image = NDArray[np.uint8]
Maps = Sequence[NDArray[np.float32]]
Faces = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]  # boxes, scores, landmarks
Level = tuple[NDArray[np.floating], ...]  # of one stride: corners, sizes, scores, landmarks
STRIDES = (8, 16, 32)


class Detector(Protocol):
    """Finds faces in a uint8 [height, width, 3] BGR image, the best first, in its pixels."""

    def detect(self, image: Image) -> list[Detection]: ...


@dataclass(frozen=True, slots=True)
class _StrideDetector:
    """What the two need that read faces out of one map per stride.

    `score` 0..1 is the least a face must have, `overlap` 0..1 the most that two may share (intersection over union),
    `longest_side` in pixels the size to which larger images are shrunk.
    """

    session: Session
    score: float
    overlap: float
    longest_side: int


class YuNet(_StrideDetector):
    """YuNet (Wu et al., Machine Intelligence Research 2023): anchor-free, BGR 0..255, sides multiples of 32."""

    __slots__ = ()

    def detect(self, image: Image) -> list[Detection]:
        small, scale = shrink(image, self.longest_side)
        height, width = (self._side(axis, small.shape[axis - 2]) for axis in (2, 3))
        maps = self.session.run(cv2.dnn.blobFromImage(_padded(small, height, width)))
        return suppress(*decode_yunet(maps, width, self.score, scale), self.overlap)

    def _side(self, axis: int, extent: int) -> int:
        """The network's own size where it is fixed (the 2023mar file: 640), else the next multiple of 32."""
        fixed = self.session.input_shape[axis]
        return fixed if isinstance(fixed, int) else -(-extent // 32) * 32


def decode_yunet(maps: Maps, width: int, score: float, scale: float) -> Faces:
    """Boxes, scores and landmarks from YuNet's 12 maps: class, objectness, box and points for each stride.

    As in OpenCV's FaceDetectorYN: score = sqrt(class * objectness), centre = (cell + offset) * stride,
    size = exp(map) * stride.
    """
    levels: list[Level] = []
    for level, stride in enumerate(STRIDES):
        classes, objects, boxes, points = (maps[level + 3 * kind][0] for kind in range(4))
        scores = np.sqrt(np.clip(classes[:, 0], 0, 1) * np.clip(objects[:, 0], 0, 1))
        chosen, cell = _candidates(scores, score, columns=width // stride)
        size = np.exp(boxes[chosen, 2:]) * stride
        corner = (cell + boxes[chosen, :2]) * stride - size / 2
        landmarks = (cell[:, None] + points[chosen].reshape(-1, 5, 2)) * stride
        levels.append((corner, size, scores[chosen], landmarks))
    return _joined(levels, scale)


class Scrfd(_StrideDetector):
    """SCRFD with landmarks (Guo et al., ICLR 2022), two anchors per cell: RGB (x - 127.5) / 128 in a square."""

    __slots__ = ()

    def detect(self, image: Image) -> list[Detection]:
        small, scale = shrink(image, self.longest_side)
        square = _padded(small, self.longest_side, self.longest_side)
        maps = self.session.run(cv2.dnn.blobFromImage(square, 1 / 128, mean=(127.5,) * 3, swapRB=True))
        return suppress(*decode_scrfd(maps, self.longest_side, self.score, scale), self.overlap)


def decode_scrfd(maps: Maps, width: int, score: float, scale: float) -> Faces:
    """Boxes, scores and landmarks from SCRFD's 9 maps: scores, then distances to the four sides, then points.

    As in InsightFace's scrfd.py: everything is a distance from the cell's corner in units of the stride.
    """
    levels: list[Level] = []
    for level, stride in enumerate(STRIDES):
        scores = maps[level].reshape(-1)
        sides = maps[level + 3].reshape(-1, 4)
        points = maps[level + 6].reshape(-1, 5, 2)
        chosen, cell = _candidates(scores, score, columns=width // stride, anchors=2)
        corner = (cell - sides[chosen, :2]) * stride
        size = (cell + sides[chosen, 2:]) * stride - corner
        landmarks = (cell[:, None] + points[chosen]) * stride
        levels.append((corner, size, scores[chosen], landmarks))
    return _joined(levels, scale)


@dataclass(frozen=True, slots=True)
class Mmod:
    """dlib's max-margin CNN (King, arXiv:1502.00046) over an image pyramid, with the five-point predictor."""

    session: Session
    predictor: ShapePredictor
    score: float
    overlap: float
    longest_side: int
    upsample: bool

    def detect(self, image: Image) -> list[Detection]:
        small, scale = shrink(image, self.longest_side)
        searched, zoom = (_enlarged(small), 2.0) if self.upsample else (small, 1.0)
        found = [
            _window_boxes(self.session.run(blob)[0][0, 0], self.score, step) for blob, step in mmod_pyramid(searched)
        ]
        if not found:
            return []
        boxes, scores = (np.concatenate(parts).astype(np.float32) for parts in zip(*found, strict=True))
        nowhere = np.zeros((len(boxes), 5, 2), np.float32)
        return [
            self._with_landmarks(small, face, zoom, scale) for face in suppress(boxes, scores, nowhere, self.overlap)
        ]

    def _with_landmarks(self, small: Image, face: Detection, zoom: float, scale: float) -> Detection:
        box = np.array(face.box, np.float32) / np.float32(zoom)
        left, top, width, height = (float(value) for value in box)
        points = self.predictor.predict(small, (left, top, width, height))
        return detection(box / scale, face.score, five_landmarks((points + 0.5) / scale - 0.5))


MMOD_WINDOW = 80
MMOD_STRIDE = 8
# dlib steps by 5/6. Every second level costs half and loses no face of the 94 photos: the net tolerates 1.4 in size.
MMOD_STEP = (5 / 6) ** 2
MMOD_MARGIN = 11  # dlib's outer padding
MMOD_MEAN_BGR = np.array([104.298, 117.001, 122.782], np.float32)
MMOD_SMALLEST_SIDE = 56  # a level whose largest possible face is far smaller than the window finds nothing new


def mmod_pyramid(image: Image) -> Iterator[tuple[NDArray[np.float32], tuple[float, float]]]:
    """The network's inputs, level by level, with the level's (x, y) size relative to the image.

    dlib lays all levels into one large image; apart they need no bookkeeping and find the same faces.
    """
    height, width = image.shape[:2]
    level = image
    while min(level.shape[:2]) >= MMOD_SMALLEST_SIDE:
        pixels = (level - MMOD_MEAN_BGR) / np.float32(256)
        bordered = cv2.copyMakeBorder(pixels, *(MMOD_MARGIN,) * 4, cv2.BORDER_CONSTANT, value=0)
        blob = np.asarray(cv2.dnn.blobFromImage(bordered, swapRB=True), np.float32)
        yield blob, (level.shape[1] / width, level.shape[0] / height)
        rows, columns = (int(extent * MMOD_STEP) for extent in level.shape[:2])
        level = np.asarray(cv2.resize(level, (columns, rows), interpolation=cv2.INTER_LINEAR), np.uint8)


def _window_boxes(
    score_map: NDArray[np.float32], score: float, step: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Boxes [n, 4] and scores [n] of the windows above the score.

    Three convolutions of 5 with stride 2 and no padding centre cell c on pixel 8 c + 14.
    """
    row, column = np.nonzero(score_map > score)
    cell = np.stack([column, row], axis=1)
    centre = (cell * MMOD_STRIDE + 14 - MMOD_MARGIN + 0.5) / step - 0.5
    size = np.broadcast_to(MMOD_WINDOW / np.array(step), centre.shape)
    return np.concatenate([centre - (size - 1) / 2, size], axis=1), score_map[row, column]


def _enlarged(image: Image) -> Image:
    return np.asarray(cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR), np.uint8)


def _padded(image: Image, height: int, width: int) -> Image:
    """The image in the upper left corner of a black one."""
    padded = np.zeros((height, width, 3), np.uint8)
    padded[: image.shape[0], : image.shape[1]] = image
    return padded


def _candidates(
    scores: NDArray[np.float32], score: float, *, columns: int, anchors: int = 1
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Where a map's scores reach the score: indices [n] into the map and the cells' (column, row) [n, 2]."""
    chosen = np.flatnonzero(scores >= score)
    row, column = np.divmod(chosen // anchors, columns)
    return chosen, np.stack([column, row], axis=1).astype(np.float32)


def _joined(levels: Sequence[Level], scale: float) -> Faces:
    """The levels' faces in one, in pixels of the image that was shrunk by `scale`."""
    corners, sizes, scores, landmarks = (np.concatenate(parts) for parts in zip(*levels, strict=True))
    boxes = np.concatenate([corners, sizes], axis=1) / scale
    return boxes.astype(np.float32), scores.astype(np.float32), (landmarks / scale).astype(np.float32)
