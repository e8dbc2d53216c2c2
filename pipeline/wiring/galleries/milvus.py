"""Galleries in Milvus: where a gallery's templates lie there, and patience while Milvus is absent."""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_exponential

from connectors import ServiceUnavailable
from connectors.milvus import LIMIT, Milvus, NoSuchCollection, Row
from models.catalogue import Catalogue
from pipeline.galleries import Candidate, GalleryAbsentError, ScopeTooLargeError, Searched
from pipeline.records import DIRECTORY, GalleryKind, Template
from pipeline.stages.enrol import Entry

log = logging.getLogger(__name__)

T = TypeVar("T")
LARGE: frozenset[GalleryKind] = frozenset({"largefacelist", "largepersongroup"})
# So many personIds are 2 MB of filter, in ten requests; each takes Milvus Lite some 70 ms at 20,000 templates.
AMONG_MOST = 50_000


def place(where: Searched) -> str:
    """The Milvus collection of a gallery: a large one has its own, the PersonDirectory one per pack, the rest share."""
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


@dataclass(frozen=True, slots=True)
class MilvusIndex:
    """Writes for the enrol stage, and says what was written."""

    milvus: Milvus
    catalogue: Catalogue
    _dirty: set[str] = field(default_factory=set)

    def upsert(self, entries: Sequence[Entry]) -> None:
        by_place: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for entry in entries:
            by_place[self.place_of(entry.template), entry.template.recognition.pack].append(_row(entry))
        for (name, pack), rows in by_place.items():
            self._write(name, pack, rows)

    def _write(self, name: str, pack: str, rows: Sequence[Row]) -> None:
        wanted = self.catalogue.pack(pack)

        def write() -> None:
            self.milvus.ensure(name, wanted.dimension, wanted.metric)
            self.milvus.upsert(name, rows)

        patiently(write)
        self._dirty.add(name)

    def delete(self, persisted_face_ids: Sequence[str]) -> None:
        # A tombstone does not say where its template lay, and after a restart nobody remembers.
        for name in self.places():
            patiently(lambda name=name: self.milvus.delete(name, persisted_face_ids))  # type: ignore[misc]
            self._dirty.add(name)

    def place_of(self, template: Template) -> str:
        """Where this template lies, or will."""
        return place(Searched(template.kind, template.collection, template.recognition.pack))

    def places(self) -> list[str]:
        """Where templates lie, sorted."""
        return ours(patiently(self.milvus.names))

    def ids(self, place: str) -> set[str]:
        """The persistedFaceIds that lie there."""
        try:
            return patiently(lambda: set(self.milvus.ids(place)))
        except NoSuchCollection:
            return set()

    def flush(self) -> None:
        while self._dirty:
            name = self._dirty.pop()
            patiently(lambda name=name: self.milvus.flush(name))  # type: ignore[misc]


def ours(names: Iterable[str]) -> list[str]:
    """Those Milvus collections that are galleries: an operator's Milvus may hold others."""
    return [name for name in names if name.startswith((f"{DIRECTORY}_", "large_", "small_"))]


def _row(entry: Entry) -> Row:
    template = entry.template
    return Row(
        id=template.persisted_face_id,
        gallery=template.collection,
        person=template.person_id or "",
        key_id=template.vector.kid,
        vector=entry.vector,
    )
