"""Where templates are searched, as whoever searches knows it. A gallery proposes; the live set decides."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.records import GalleryKind


@dataclass(frozen=True, slots=True)
class Searched:
    """Which templates a search is among: those of one gallery (a collection's uid, or the PersonDirectory's) and pack.

    The templates of a collection are all of one recognition; those of the PersonDirectory of one pack may be of
    several that never meet, which the live set tells apart.
    """

    kind: GalleryKind
    uid: str
    pack: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A gallery's proposal: a template, whose it is (None in a face list), under which key, and how alike it is.

    `similarity` is the model's own, higher is more.
    """

    persisted_face_id: str
    person_id: str | None
    kid: str
    similarity: float


class ScopeTooLargeError(Exception):
    """More persons to search among than the engine takes: one line that names the number, the cap and the cure."""


class GalleryAbsentError(Exception):
    """The engine has not answered for as long as this gallery waits: one line that says which."""


class Gallery(Protocol):
    """Where templates are searched. What it answers may be stale: it is a proposal."""

    @property
    def engine(self) -> str:
        """Which engine answers, for the record."""
        ...

    @property
    def most(self) -> int:
        """The largest `limit` that one search takes."""
        ...

    def search(
        self, where: Searched, probes: NDArray[np.float32], limit: int, among: Collection[str] | None = None
    ) -> list[list[Candidate]]:
        """The best `limit` candidates of each probe (n, dimension), best first; blocks, waits for an absent engine.

        With `among`, only templates of these personIds; ScopeTooLargeError where they are more than the engine takes.
        A gallery that does not wait for ever raises GalleryAbsentError.
        """
        ...
