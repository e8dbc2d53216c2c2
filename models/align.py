"""Turns and scales a face so that its landmarks lie where its recogniser was trained to find them."""

from dataclasses import dataclass
from math import floor, log2

import cv2
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """Where the landmarks (image left first: eyes, nose tip, mouth corners) lie in a chip of `size` x `size` px."""

    size: int
    points: NDArray[np.float64]


def _template(size: int, points: list[tuple[float, float]]) -> Template:
    return Template(size, np.array(points, np.float64))


def _dlib_chip(fractions: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """From dlib's mean face to its 150 px chip with 25 % padding, as in dlib's get_face_chip_details."""
    return [((0.25 + x) / 1.5 * 150, (0.25 + y) / 1.5 * 150) for x, y in fractions]


# InsightFace's arcface_dst; OpenCV's FaceRecognizerSF has the same numbers.
ARCFACE = _template(
    112, [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)]
)
# Open Model Zoo, face_recognition_demo, as fractions of the chip.
OPEN_MODEL_ZOO = _template(
    128,
    [
        (128 * x, 128 * y)
        for x, y in [(0.31557, 0.46157), (0.68262, 0.46157), (0.50026, 0.64051), (0.34947, 0.82469), (0.65344, 0.82469)]
    ],
)
# dlib's mean face: the eyes are the means of its five-point model's corners, the rest comes from its 68-point one.
DLIB_MEAN_FACE = [(0.2273, 0.2214), (0.7528, 0.2212), (0.490127, 0.515625), (0.254149, 0.780233), (0.726104, 0.780233)]
DLIB = _template(150, _dlib_chip(DLIB_MEAN_FACE))
TEMPLATES = {"arcface": ARCFACE, "omz": OPEN_MODEL_ZOO, "dlib": DLIB}


def similarity_transform(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """The [2, 3] matrix of turn, scale and shift that brings `source` closest to `target`, both [n, 2], least squares.

    In the plane, with points as complex numbers, the optimum has a closed form: a = <source, target> / <source, source>
    (Umeyama 1991 without reflection, which no face needs). Raises ValueError where all source points are one.
    """
    z = source[:, 0].astype(np.float64) + 1j * source[:, 1]
    w = target[:, 0].astype(np.float64) + 1j * target[:, 1]
    centred = z - z.mean()
    spread = float(np.vdot(centred, centred).real)
    if spread <= 0:
        raise ValueError("the landmarks all lie on one point")
    a = np.vdot(centred, w - w.mean()) / spread
    b = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def transform(matrix: NDArray[np.floating], points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Points [n, 2] through a [2, 3] matrix."""
    moved: NDArray[np.float64] = points @ matrix[:, :2].T + matrix[:, 2]
    return moved


def align(image: NDArray[np.uint8], landmarks: NDArray[np.float32], template: Template) -> NDArray[np.uint8]:
    """The chip, uint8 [size, size, 3], of the face with these landmarks, float32 [5, 2] px; black beyond the image."""
    matrix = similarity_transform(landmarks, template.points)
    scale = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if scale < 0.5:
        image, matrix = _halved(image, matrix, template.size, 2 ** floor(log2(1 / scale)))
    return np.asarray(cv2.warpAffine(image, matrix, (template.size, template.size), flags=cv2.INTER_LINEAR), np.uint8)


def _halved(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], size: int, factor: int
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The surroundings of a large face, averaged down first: bilinear sampling alone would skip most of its pixels."""
    corners = np.array([(0, 0), (size, 0), (0, size), (size, size)], np.float64)
    seen = transform(np.asarray(cv2.invertAffineTransform(matrix), np.float64), corners)
    height, width = image.shape[:2]
    left, top = (int(value) for value in np.clip(np.floor(seen.min(axis=0)) - factor, 0, (width - 1, height - 1)))
    right, bottom = (int(value) for value in np.clip(np.ceil(seen.max(axis=0)) + factor, 1, (width, height)))
    crop = image[top : max(bottom, top + 1), left : max(right, left + 1)]
    columns, rows = max(1, round(crop.shape[1] / factor)), max(1, round(crop.shape[0] / factor))
    small = np.asarray(cv2.resize(crop, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
    # pixel centres: small = (x - left + 0.5) / stretch - 0.5, turned round and put before the matrix
    stretch = np.array([crop.shape[1] / columns, crop.shape[0] / rows])
    back = np.diag([*stretch, 1.0])
    back[:2, 2] = stretch / 2 - 0.5 + (left, top)
    return small, matrix @ back
