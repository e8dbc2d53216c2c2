"""What may enter or ask a vector index: Milvus Lite takes NaN, and both take vectors that no model made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Metric = Literal["cosine", "l2"]

NORM_TOLERANCE = 1e-3
PERSONS_AT_ONCE = 5000  # 200 kB of filter
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64})?")


class VectorRefused(ValueError):
    """A vector or an identifier that must not reach an index; the text never holds the vector."""


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One enrolled template: its id, the gallery (collectionUid) and person it belongs to, the key that seals it.

    `id` is one word of [A-Za-z0-9_-] or two joined by "/"; `gallery` and `key_id` are one word; `person` one word or
    empty (a face list has none). `vector` is float32 of shape (dimension,), of unit length under cosine.
    """

    id: str
    gallery: str
    person: str
    key_id: str
    vector: NDArray[np.float32] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Hit:
    """A candidate; `similarity` is the cosine, -1..1, or 1 - Euclidean distance, at most 1."""

    id: str
    person: str
    key_id: str
    similarity: float


def check_vectors(vectors: NDArray[np.float32], dimension: int, metric: Metric) -> None:
    """VectorRefused unless `vectors` is (n, dimension), float32, finite and, under cosine, of unit length."""
    if vectors.ndim != 2 or vectors.shape[1] != dimension or vectors.dtype != np.float32:
        shape = tuple(vectors.shape)
        raise VectorRefused(f"vectors of shape {shape}, {vectors.dtype}: wanted (n, {dimension}), float32")
    if (bad := np.flatnonzero(~np.isfinite(vectors).all(axis=1))).size:
        raise VectorRefused(f"vector {bad[0]} of {len(vectors)} is not finite")
    if metric == "cosine":
        lengths = np.linalg.norm(vectors, axis=1)
        if (bad := np.flatnonzero(np.abs(lengths - 1.0) > NORM_TOLERANCE)).size:
            raise VectorRefused(f"vector {bad[0]} of {len(vectors)} has not unit length, which cosine asks for")


def stacked(rows: Iterable[Row], dimension: int, metric: Metric) -> NDArray[np.float32]:
    """The rows' vectors as (n, dimension), checked, and their words with them."""
    vectors = []
    for row in rows:
        check_identifier(row.id)
        check_name(row.gallery)
        check_name(row.key_id)
        if row.person:
            check_name(row.person)
        if row.vector.shape != (dimension,):
            raise VectorRefused(f"a vector of shape {row.vector.shape}: wanted ({dimension},)")
        vectors.append(row.vector)
    together = np.stack(vectors)
    check_vectors(together, dimension, metric)
    return together


def filters(gallery: str, persons: Sequence[str] | None = None) -> list[str]:
    """Milvus expressions that together admit the rows of a gallery, or those of these persons in it."""
    inside = f'gallery == "{check_name(gallery)}"'
    if persons is None:
        return [inside]
    quoted = [f'"{check_name(person)}"' for person in persons]
    parts = [quoted[start : start + PERSONS_AT_ONCE] for start in range(0, len(quoted), PERSONS_AT_ONCE)]
    return [f"{inside} and person in [{', '.join(part)}]" for part in parts]


def check_name(word: str) -> str:
    """The word itself; VectorRefused unless it is 1 to 64 of [A-Za-z0-9_-], so that quoting it is safe."""
    if not NAME.fullmatch(word):
        raise VectorRefused("a gallery, person or key id must be 1 to 64 of [A-Za-z0-9_-]")
    return word


def check_identifier(word: str) -> str:
    """The id itself; VectorRefused unless it is one word of [A-Za-z0-9_-], or two joined by a slash."""
    if not IDENTIFIER.fullmatch(word):
        raise VectorRefused("a row's id must be one or two words of [A-Za-z0-9_-], joined by a slash")
    return word
