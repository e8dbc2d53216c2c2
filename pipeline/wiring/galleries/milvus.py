"""Galleries in Milvus: where a gallery's templates lie there, and patience while Milvus is absent."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from connectors import ServiceUnavailable
from connectors.keystore import KeyDestroyed
from connectors.milvus import LIMIT, Hit, Milvus, MilvusFault, NoSuchCollection
from connectors.vectors import check_vectors
from pipeline.galleries import Candidate, GalleryAbsentError, ScopeTooLargeError, Searched
from pipeline.records import DIRECTORY, GalleryKind
from pipeline.wiring.galleries.rotation import Rotations, Vectors, without_key

log = logging.getLogger(__name__)

T = TypeVar("T")
LARGE: frozenset[GalleryKind] = frozenset({"largefacelist", "largepersongroup"})
# So many personIds are 2 MB of filter, in ten requests; each takes Milvus Lite some 70 ms at 20,000 templates.
AMONG_MOST = 50_000
# Seconds after which a reader asks anew which generation is shown. A rebuild keeps the old one for longer than this
# and a search together.
LOOK_AGAIN = 2.0


def place(where: Searched) -> str:
    """Where a gallery lies in Milvus: a large one has its own place, the PersonDirectory one per pack, the rest share.

    It is an alias: `generations` knows the collections.
    """
    if where.kind in LARGE:
        return f"large_{where.uid.replace('-', '')}"
    return f"{DIRECTORY if where.kind == DIRECTORY else 'small'}_{where.pack}"


def _say(state: RetryCallState) -> None:
    log.warning("Milvus is absent, try %d: waiting for it", state.attempt_number)


def patiently(call: Callable[[], T], patience: float = inf) -> T:
    """Repeat `call` for `patience` seconds while Milvus is absent; ServiceUnavailable after that."""
    waiting = Retrying(
        stop=stop_after_delay(patience),
        retry=retry_if_exception_type(ServiceUnavailable),
        wait=wait_exponential(multiplier=0.1, max=2.0),
        before_sleep=_say,
        reraise=True,
    )
    return waiting(call)


@dataclass(frozen=True, slots=True)
class MilvusGallery:
    """Searches what `MilvusIndex` wrote. Exact on Milvus Lite (FLAT); on a server HNSW may miss a neighbour.

    It waits `patience` seconds for an absent Milvus.

    A probe is turned as one generation is, so a generation is searched by its own name and not by the alias, which may
    move between the two. A name never stands for other vectors: it is given once, and its rows are written under its
    key alone. And a generation that answers by its name is complete, shown or not, because enrol writes to all of them:
    so which one is shown need not be asked before each search, but only when the answer has grown old or the
    generation is gone.
    """

    milvus: Milvus
    rotations: Rotations
    patience: float = inf
    timer: Callable[[], float] = time.monotonic
    _shown: dict[str, tuple[str, float]] = field(default_factory=dict)

    @property
    def engine(self) -> str:
        return "milvus"

    @property
    def most(self) -> int:
        return LIMIT

    def search(
        self, where: Searched, probes: NDArray[np.float32], limit: int, among: Collection[str] | None = None
    ) -> list[list[Candidate]]:
        if among is not None and len(among) > AMONG_MOST:
            raise ScopeTooLargeError(
                f"{len(among)} persons to search among: Milvus is asked for {AMONG_MOST} at most; set "
                '[identify] engine = "exact", which masks any number'
            )
        if among is not None and not among:
            return [[] for _ in probes]
        persons = None if among is None else sorted(among)
        try:
            found = patiently(lambda: self._found(where, probes, limit, persons), self.patience)
        except ServiceUnavailable as error:
            raise GalleryAbsentError(str(error)) from None
        return [[Candidate(hit.id, hit.person or None, hit.key_id, hit.similarity) for hit in hits] for hits in found]

    def _found(self, where: Searched, probes: Vectors, limit: int, persons: Sequence[str] | None) -> list[list[Hit]]:
        there = place(where)
        generation = self._shown_at(there)
        while generation is not None:
            try:
                check_vectors(probes, *self.milvus.form(generation))
                return self.milvus.search(
                    generation, self.rotations.turned(generation, probes), where.uid, limit, persons
                )
            except (NoSuchCollection, MilvusFault, KeyDestroyed) as error:
                # A rebuild may have dropped it meanwhile, under which Milvus Lite answers with any fault it likes.
                former, generation = generation, self._shown_at(there, afresh=True)
                if generation == former:
                    if isinstance(error, KeyDestroyed):
                        raise without_key(generation) from None
                    raise
        # Enrol makes it, at its first template.
        return [[] for _ in probes]

    def _shown_at(self, there: str, *, afresh: bool = False) -> str | None:
        shown, until = self._shown.get(there, ("", -inf))
        now = self.timer()
        if not afresh and now < until:
            return shown
        found = self.milvus.target(there)
        if found is None:
            self._shown.pop(there, None)
        else:
            self._shown[there] = found, now + LOOK_AGAIN
        return found
