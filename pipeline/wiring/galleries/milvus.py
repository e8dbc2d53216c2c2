"""Galleries in Milvus: where a gallery's templates lie there, and patience while Milvus is absent."""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from math import inf
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from connectors import ServiceUnavailable
from connectors.milvus import LIMIT, Milvus, NoSuchCollection
from pipeline.galleries import Candidate, GalleryAbsentError, ScopeTooLargeError, Searched
from pipeline.records import DIRECTORY, GalleryKind

log = logging.getLogger(__name__)

T = TypeVar("T")
LARGE: frozenset[GalleryKind] = frozenset({"largefacelist", "largepersongroup"})
# So many personIds are 2 MB of filter, in ten requests; each takes Milvus Lite some 70 ms at 20,000 templates.
AMONG_MOST = 50_000


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
    """

    milvus: Milvus
    patience: float = inf

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
            found = patiently(
                lambda: self.milvus.search(place(where), probes, where.uid, limit, persons), self.patience
            )
        except ServiceUnavailable as error:
            raise GalleryAbsentError(str(error)) from None
        except NoSuchCollection:
            # Enrol makes it, at its first template.
            return [[] for _ in probes]
        return [[Candidate(hit.id, hit.person or None, hit.key_id, hit.similarity) for hit in hits] for hits in found]
