"""A simulated gallery that never forgets: it may propose anybody who was ever in it, deleted or not."""

import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pipeline.galleries import Candidate, Searched


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """A template that the gallery was once given."""

    uid: str
    persisted_face_id: str
    person_id: str
    kid: str
    vector: NDArray[np.float32]


@dataclass(slots=True)
class SimulatedGallery:
    """`forgetful` is the share of searches in which it misses what it has, `failing` of those that end in a fault.

    The newest of equals come first.
    """

    chance: random.Random
    proposed: Callable[[str], None]
    forgetful: float = 0.0
    failing: float = 0.0
    rows: list[Row] = field(default_factory=list)
    engine: str = "simulated"
    most: int = 100

    def search(
        self, where: Searched, probes: NDArray[np.float32], limit: int, among: Collection[str] | None = None
    ) -> list[list[Candidate]]:
        if self.chance.random() < self.failing:
            raise RuntimeError("a fault that nobody has thought of")
        rows = [row for row in reversed(self.rows) if row.uid == where.uid]
        found: list[list[Candidate]] = []
        for probe in probes:
            if self.chance.random() < self.forgetful:
                found.append([])
                continue
            alike = sorted(((float(row.vector @ probe), row) for row in rows), key=lambda each: -each[0])
            candidates = [
                Candidate(row.persisted_face_id, row.person_id, row.kid, likeness) for likeness, row in alike[:limit]
            ]
            for candidate in candidates:
                self.proposed(str(candidate.person_id))
            found.append(candidates)
        return found
