"""Galleries in Milvus: where a collection's templates lie there, and patience while Milvus is absent."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential

from connectors import ServiceUnavailable
from connectors.keystore import KeyDestroyed, KeyStore, SealBroken
from connectors.milvus import Milvus, NoSuchCollection, Row
from models.catalogue import Catalogue
from pipeline.codec import unseal
from pipeline.identifiers import template_key, template_owner
from pipeline.records import DIRECTORY, Collection, Face, GalleryKind, Template
from pipeline.stages.enrol import Entry
from pipeline.stages.identify import Candidate
from pipeline.topology import FACES, TEMPLATES

log = logging.getLogger(__name__)

T = TypeVar("T")
LARGE: frozenset[GalleryKind] = frozenset({"largepersongroup", "largefacelist"})


def place(kind: GalleryKind, uid: str, model: str) -> str:
    """The Milvus collection of a gallery: the small ones of a model share one, a large one has its own."""
    if kind == DIRECTORY:
        return f"{DIRECTORY}_{model}"
    return f"large_{uid.replace('-', '')}" if kind in LARGE else f"small_{model}"


def _say(state: RetryCallState) -> None:
    log.warning("Milvus is absent, try %d: waiting for it", state.attempt_number)


def patiently(call: Callable[[], T]) -> T:
    """Repeat `call` for ever while Milvus is absent."""
    waiting = Retrying(
        retry=retry_if_exception_type(ServiceUnavailable),
        wait=wait_exponential(multiplier=0.1, max=2.0),
        before_sleep=_say,
        reraise=True,
    )
    return waiting(call)


@dataclass(frozen=True, slots=True)
class MilvusGallery:
    """Searches for the identify stage."""

    milvus: Milvus
    catalogue: Catalogue

    @property
    def engine(self) -> str:
        return "milvus"

    def search(self, collection: Collection, probes: NDArray[np.float32], limit: int) -> list[list[Candidate]]:
        if collection.recognition is None:
            return [[] for _ in probes]
        pack = self.catalogue.pack(collection.recognition.pack)
        name = place(collection.kind, collection.uid, pack.name)

        def ask() -> list[list[Candidate]]:
            try:
                found = self.milvus.search(name, probes, collection.uid, limit)
            except NoSuchCollection:
                # Only now: to ensure costs seven requests, and a face waits for each of them.
                self.milvus.ensure(name, pack.dimension, pack.metric)
                found = self.milvus.search(name, probes, collection.uid, limit)
            return [[Candidate(hit.id, hit.person, hit.key_id, hit.similarity) for hit in hits] for hits in found]

        return patiently(ask)


@dataclass(frozen=True, slots=True)
class MilvusIndex:
    """Writes for the enrol stage."""

    milvus: Milvus
    catalogue: Catalogue
    _dirty: set[str] = field(default_factory=set)

    def upsert(self, entries: Sequence[Entry]) -> None:
        template = entries[0].template
        pack = self.catalogue.pack(template.recognition.pack)
        name = place(template.kind, template.collection, pack.name)
        rows = [
            Row(
                id=entry.template.persisted_face_id,
                gallery=entry.template.collection,
                person=entry.template.person_id or "",
                key_id=entry.template.vector.kid,
                vector=entry.vector,
            )
            for entry in entries
        ]

        def write() -> None:
            self.milvus.ensure(name, pack.dimension, pack.metric)
            self.milvus.upsert(name, rows)

        patiently(write)
        self._dirty.add(name)

    def delete(self, persisted_face_ids: Sequence[str]) -> None:
        # A tombstone does not say where its template lay, and after a restart nobody remembers.
        for name in patiently(self.milvus.names):
            patiently(lambda name=name: self.milvus.delete(name, persisted_face_ids))  # type: ignore[misc]
            self._dirty.add(name)

    def flush(self) -> None:
        while self._dirty:
            name = self._dirty.pop()
            patiently(lambda name=name: self.milvus.flush(name))  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class Templates:
    """Opens templates at use: of probes, and of enrolled persons. None once the key is destroyed."""

    keys: KeyStore
    catalogue: Catalogue

    def of_face(self, face: Face) -> NDArray[np.float32] | None:
        return self._vector(
            face.recognition.pack,
            lambda: unseal(
                self.keys, face.template, topic=FACES, key=face.face_id, field="template", expires=face.expires
            ),
        )

    def of_person(self, template: Template) -> NDArray[np.float32] | None:
        key = template_key(template_owner(template), template.persisted_face_id)
        return self._vector(
            template.recognition.pack,
            lambda: unseal(self.keys, template.vector, topic=TEMPLATES, key=key, field="vector"),
        )

    def _vector(self, model: str, opened: Callable[[], bytes]) -> NDArray[np.float32] | None:
        try:
            vector = np.frombuffer(opened(), "<f4")
        except (KeyDestroyed, SealBroken):
            return None
        return vector if vector.shape == (self.catalogue.pack(model).dimension,) else None
