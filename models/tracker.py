"""Follows faces from one frame of a camera to the next, and notices when that must not be done."""

import cv2
import numpy as np
from numpy.typing import NDArray

from models.catalogue import Metric

MINIMUM_IOU = 0.3
THUMBNAIL_SIZE = (64, 36)
SCENE_CUT = 20.0
# On `similarity`. Of 262 pairs of strangers none is above (highest 0.26 cosine, 0.34 l2), of 38 pairs of photos of one
# person, taken years apart, none below (lowest 0.48, 0.39): between two frames there is far less difference.
JUMP: dict[Metric, float] = {"cosine": 0.3, "l2": 0.36}


def associate(
    previous: NDArray[np.floating], boxes: NDArray[np.floating], minimum_iou: float = MINIMUM_IOU
) -> list[tuple[int, int]]:
    """Pairs (i, j) of boxes that are one face in consecutive frames, each box at most once.

    previous [n, 4] and boxes [m, 4] are left, top, width, height in px. The pairs have the largest sum of intersection
    over union; a pair below `minimum_iou` is none.
    """
    if not len(previous) or not len(boxes):
        return []
    overlap = intersection_over_union(previous, boxes)
    # a pair that would be refused anyway must not push a good pair aside
    gain = np.where(overlap >= minimum_iou, overlap, 0.0)
    if not _contested(gain):
        return [(int(i), int(j)) for i, j in np.argwhere(gain)]
    from scipy.optimize import linear_sum_assignment  # here: it takes longer to load than the models

    rows, columns = linear_sum_assignment(gain, maximize=True)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if gain[i, j] > 0]


def _contested(gain: NDArray[np.float64]) -> bool:
    """Whether any box could go to two others; where none could, all pairs with a gain are the best there are."""
    could = gain > 0
    return bool((could.sum(axis=0) > 1).any() or (could.sum(axis=1) > 1).any())


def intersection_over_union(one: NDArray[np.floating], other: NDArray[np.floating]) -> NDArray[np.float64]:
    """[n, m], 0..1, of boxes [n, 4] and [m, 4]."""
    a, b = one[:, None].astype(np.float64), other[None].astype(np.float64)
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=-1)
    union = np.prod(a[..., 2:], axis=-1) + np.prod(b[..., 2:], axis=-1) - shared
    overlap: NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return np.minimum(overlap, 1.0)  # boxes thinner than the precision of their coordinates give more


def thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A uint8 [36, 64, 3] miniature of a frame, for `scene_cut`."""
    return np.asarray(cv2.resize(image, THUMBNAIL_SIZE, interpolation=cv2.INTER_AREA), np.uint8)


def scene_cut(previous: NDArray[np.uint8], current: NDArray[np.uint8]) -> bool:
    """Whether two thumbnails are of different scenes: their mean absolute difference is above 20 of 255.

    A box at the same place after a cut is another person's. Measured on a clip with hard cuts: every cut lies above,
    the liveliest frame without one at 13.5; colour histograms did not separate them. A fast pan counts as a cut, too:
    that splits a track, and never joins two.
    """
    return float(np.abs(current.astype(np.int16) - previous).mean()) > SCENE_CUT


def embeddings_jump(one: NDArray[np.float32], other: NDArray[np.float32], metric: Metric) -> bool:
    """Whether two templates of what seems one track are of two people: their similarity is below JUMP.

    Breaking a track in two by mistake costs a second identification; joining two people costs a false name.
    """
    similarity = float(np.dot(one, other)) if metric == "cosine" else 1.0 - float(np.linalg.norm(one - other))
    return similarity < JUMP[metric]
