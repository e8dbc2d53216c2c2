"""Reads dlib's landmark predictor, a cascade of regression trees, into plain arrays.

dlib's shape_predictor (Kazemi and Sullivan, "One Millisecond Face Alignment with an Ensemble of Regression Trees",
CVPR 2014) is stored tree by tree; numpy walks all trees of a cascade at once and needs them as rectangular arrays.
"""

from collections.abc import Mapping
from io import BytesIO
from typing import Any
from zipfile import ZipFile, ZipInfo

import numpy as np
from numpy.lib.format import write_array
from numpy.typing import NDArray

from models import ModelError
from models.conversion.dlib_reader import DlibReader

Split = tuple[int, int, float]
Tree = tuple[list[Split], list[NDArray[np.float32]]]


def shape_predictor_to_npz(content: bytes) -> bytes:
    """A .npz (uncompressed, no pickles) with C cascades of T trees with S splits, L = S + 1 leaves, P probed pixels.

    mean_shape float32 [5, 2] in fractions of the box; first, second uint16 [C, T, S], indices of probed pixels;
    threshold float32 [C, T, S]; leaf float32 [C, T, L, 5, 2]; anchor uint8 [C, P], landmark indices; offset float32
    [C, P, 2] in fractions of the box. Raises ModelError where the file is not a five-point predictor.
    """
    reader = DlibReader(content)
    reader.version(1)
    mean_shape = reader.matrix()
    if mean_shape.size != 10:
        raise ModelError(
            f"the landmark predictor has {mean_shape.size // 2} points, five are needed: use the pinned file"
        )
    cascades = reader.sequence(lambda: reader.sequence(lambda: _read_tree(reader)))
    anchors = reader.sequence(lambda: reader.sequence(reader.integer))
    offsets = reader.sequence(lambda: reader.sequence(lambda: (reader.real(), reader.real())))
    arrays: dict[str, Any] = {
        "mean_shape": mean_shape.reshape(5, 2),
        "first": np.array([[[s[0] for s in splits] for splits, _ in trees] for trees in cascades], np.uint16),
        "second": np.array([[[s[1] for s in splits] for splits, _ in trees] for trees in cascades], np.uint16),
        "threshold": np.array([[[s[2] for s in splits] for splits, _ in trees] for trees in cascades], np.float32),
        "leaf": np.array([[[leaf.reshape(5, 2) for leaf in leaves] for _, leaves in trees] for trees in cascades]),
        "anchor": np.array(anchors, np.uint8),
        "offset": np.array(offsets, np.float32),
    }
    return _npz(arrays)


def _npz(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """As numpy.savez writes it, but the same bytes under every Python: its zip64 headers differ from 3.11.4 on."""
    stream = BytesIO()
    with ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            content = BytesIO()
            write_array(content, np.asanyarray(array), allow_pickle=False)
            archive.writestr(ZipInfo(f"{name}.npy"), content.getvalue())
    return stream.getvalue()


def _read_tree(reader: DlibReader) -> Tree:
    splits = reader.sequence(lambda: (reader.integer(), reader.integer(), reader.real()))
    return splits, reader.sequence(reader.matrix)
