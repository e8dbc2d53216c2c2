"""Finds the five landmarks dlib needs: a cascade of regression trees (Kazemi and Sullivan, CVPR 2014) in numpy."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray

from models.align import DLIB_MEAN_FACE, similarity_transform, transform

# dlib's get_face_chip_details for five points: corners of the eye at the image's right, of the one at its left
# (each outer first), base of the nose.
FIVE_POINT_MEAN = np.array(
    [
        (0.8595674595992, 0.2134981538014),
        (0.6460604764104, 0.2289674387677),
        (0.1205750620789, 0.2137274526848),
        (0.3340850613712, 0.2290642403242),
        (0.4901123135679, 0.6277975316475),
    ]
)
NOSE_TIP_AND_MOUTH = np.array(DLIB_MEAN_FACE[2:])


class ShapePredictor:
    """dlib's five-point predictor, from the arrays that `conversion.dlib_shape` writes."""

    def __init__(self, content: bytes) -> None:
        with np.load(BytesIO(content), allow_pickle=False) as arrays:
            self._mean_shape: NDArray[np.float32] = arrays["mean_shape"]
            cascades, self._trees, self._splits = arrays["threshold"].shape
            # tree after tree in one row per cascade: one-dimensional look-ups take a third of the time
            self._first: NDArray[np.intp] = arrays["first"].reshape(cascades, -1).astype(np.intp)
            self._second: NDArray[np.intp] = arrays["second"].reshape(cascades, -1).astype(np.intp)
            self._threshold: NDArray[np.float32] = arrays["threshold"].reshape(cascades, -1)
            self._leaf: NDArray[np.float32] = arrays["leaf"].reshape(cascades, -1, 5, 2)
            self._anchor: NDArray[np.uint8] = arrays["anchor"]
            self._offset: NDArray[np.float32] = arrays["offset"]

    def predict(self, image: NDArray[np.uint8], box: tuple[float, float, float, float]) -> NDArray[np.float64]:
        """dlib's own five points [5, 2] px, in the order of FIVE_POINT_MEAN; box = left, top, width, height."""
        origin, extent = np.round(box[:2]), np.round(box[2:]) - 1  # dlib's rectangles include their last pixel
        shape = self._mean_shape.astype(np.float64)
        for cascade in range(len(self._leaf)):
            turn = similarity_transform(self._mean_shape, shape)[:, :2]
            probes = shape[self._anchor[cascade]] + self._offset[cascade] @ turn.T
            shape = shape + self._step(cascade, _intensities(image, probes * extent + origin))
        points: NDArray[np.float64] = shape * extent + origin
        return points

    def _step(self, cascade: int, intensity: NDArray[np.int64]) -> NDArray[np.float64]:
        """The sum of the leaves that the probed pixels lead to, all trees of a cascade walked at once."""
        tree = np.arange(self._trees)
        first, second, threshold = self._first[cascade], self._second[cascade], self._threshold[cascade]
        node = np.zeros_like(tree)
        while node[0] < self._splits:  # the trees are complete, so all leaves are equally deep
            split = tree * self._splits + node
            left = intensity[first[split]] - intensity[second[split]] > threshold[split]
            node = 2 * node + np.where(left, 1, 2)
        leaves = tree * (self._splits + 1) + node - self._splits
        step: NDArray[np.float64] = self._leaf[cascade, leaves].sum(axis=0, dtype=np.float64)
        return step


def five_landmarks(points: NDArray[np.float64]) -> NDArray[np.float32]:
    """Eyes, nose tip and mouth corners [5, 2] from dlib's five points: eye corners and the base of the nose.

    Eyes are the middles of their corners. dlib sees no mouth: its corners, and the nose tip relative to the base that
    was seen, are taken from the mean face as dlib's own alignment would lay it. So an alignment to these landmarks is
    dlib's alignment to within a pixel, while the nose still turns with the head.
    """
    matrix = similarity_transform(FIVE_POINT_MEAN, points)
    nose, left_mouth, right_mouth = transform(matrix, NOSE_TIP_AND_MOUTH)
    seen, expected = points[4], transform(matrix, FIVE_POINT_MEAN[4:])[0]
    left_eye, right_eye = points[2:4].mean(axis=0), points[0:2].mean(axis=0)
    return np.array([left_eye, right_eye, nose + seen - expected, left_mouth, right_mouth], np.float32)


def _intensities(image: NDArray[np.uint8], points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Mean of the three channels at the nearest pixels, 0 beyond the image, as dlib reads them."""
    x, y = np.floor(points + 0.5).astype(np.int64).T
    height, width = image.shape[:2]
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    pixels = image[np.where(inside, y, 0), np.where(inside, x, 0)].sum(axis=1, dtype=np.int64) // 3
    return np.where(inside, pixels, 0)
