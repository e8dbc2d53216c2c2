"""Group: which of these faces belong together, as far as one can say without knowing anybody."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from pipeline.operations import Refused
from pipeline.operations.faces import OpenedFace
from pipeline.operations.recogniser import Comparison, Recogniser, of_one_recognition

# Of the Face API (face-contract).
FEWEST = 2
MOST = 1000


@dataclass(frozen=True, slots=True)
class Grouped:
    """faceIds by presumed person, the largest group first; `messy` are those that resemble nobody else here."""

    groups: tuple[tuple[str, ...], ...]
    messy: tuple[str, ...]


async def group(recogniser: Recogniser, face_ids: Sequence[str]) -> Grouped:
    """Average linkage up to the model's threshold; nothing is kept.

    Refused: FaceNotFound; BadArgument for fewer than 2 or more than 1000 faces, for a repeated one, and where their
    models differ.
    """
    if not FEWEST <= len(face_ids) <= MOST:
        raise Refused(f"{len(face_ids)} faceIds to group: give {FEWEST} to {MOST}")
    if len(set(face_ids)) < len(face_ids):
        raise Refused("a faceId stands there twice: give each once")
    faces = await recogniser.faces.opened(face_ids)
    of_one_recognition(*(face.recognition for face in faces))
    return await asyncio.to_thread(grouped, faces, recogniser.comparison)


def grouped(faces: Sequence[OpenedFace], comparison: Comparison) -> Grouped:
    """Opened faces, two or more of one recognition, by presumed person."""
    pack = faces[0].recognition.pack
    # Lengths between faces: 0 for the same, and greater the less alike.
    apart = 1.0 - comparison.threshold(pack)
    tree = linkage(_lengths(faces, comparison), method="average")
    members: dict[int, list[str]] = defaultdict(list)
    for face, number in zip(faces, fcluster(tree, t=max(apart, 0.0), criterion="distance"), strict=True):
        members[int(number)].append(face.face_id)
    # Sorting keeps the order of the question among groups of one size.
    ranked = sorted(members.values(), key=len, reverse=True)
    return Grouped(
        tuple(tuple(each) for each in ranked if len(each) > 1), tuple(each[0] for each in ranked if len(each) == 1)
    )


def _lengths(faces: Sequence[OpenedFace], comparison: Comparison) -> NDArray[np.float64]:
    """Pairwise, as scipy wants them: (n * (n - 1) / 2,), row by row of the upper triangle."""
    vectors = np.stack([face.vector for face in faces])
    similarities = comparison.similarities(faces[0].recognition.pack, vectors, vectors)
    above = np.triu_indices(len(faces), k=1)
    return np.maximum(1.0 - similarities[above].astype(np.float64), 0.0)
