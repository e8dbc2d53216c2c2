"""The galleries' index in Milvus, as enrol writes it and as it is compared with the tables."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from connectors import ServiceRefused
from connectors.milvus import Milvus, MilvusFault, NoSuchCollection, Row
from models.catalogue import Catalogue
from pipeline.galleries import Searched
from pipeline.records import Template
from pipeline.stages.enrol import Entry
from pipeline.wiring.galleries.generations import Generations
from pipeline.wiring.galleries.milvus import patiently, place


@dataclass(frozen=True, slots=True)
class MilvusIndex:
    """Writes for the enrol stage, and says what was written. Every write goes to all generations there are."""

    milvus: Milvus
    catalogue: Catalogue
    _dirty: set[str] = field(default_factory=set)
    _ensured: set[str] = field(default_factory=set)

    @property
    def _generations(self) -> Generations:
        return Generations(self.milvus)

    def upsert(self, entries: Sequence[Entry]) -> None:
        by_place: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for entry in entries:
            by_place[self.place_of(entry.template), entry.template.recognition.pack].append(row(entry))
        for (there, pack), rows in by_place.items():
            self._write(there, pack, rows)

    def _write(self, there: str, pack: str, rows: Sequence[Row]) -> None:
        def write() -> None:
            # Listed anew each time: a generation that was made before a record was appended must get it.
            for name in self._generations.of(there) or [self._first(there)]:
                self._unless_dropped(name, lambda name: self._put(name, pack, rows))
            if there not in self._ensured:
                self._show(there)

        patiently(write)

    def _put(self, name: str, pack: str, rows: Sequence[Row]) -> None:
        self._ensure(name, pack)
        self.milvus.upsert(name, rows)
        self._dirty.add(name)

    def _ensure(self, name: str, pack: str) -> None:
        # Once a process: whoever made it may have died before its index was made.
        if name not in self._ensured:
            wanted = self.catalogue.pack(pack)
            self.milvus.ensure(name, wanted.dimension, wanted.metric)
            self._ensured.add(name)

    def _first(self, there: str) -> str:
        if there in self.milvus.names():
            raise ServiceRefused(f"the Milvus collection {there} is of an earlier release: drop it, and start anew")
        # The same in every process that comes upon a place at this moment.
        return f"{there}__1"

    def _show(self, there: str) -> None:
        # Never moved here: that is for whoever has filled the next generation.
        self.milvus.point(there, self._generations.of(there)[0])
        self._ensured.add(there)

    def delete(self, persisted_face_ids: Sequence[str]) -> None:
        # A tombstone does not say where its template lay, and after a restart nobody remembers.
        for names in patiently(self._generations.all).values():
            for name in names:
                patiently(lambda name=name: self._unless_dropped(name, self._take(persisted_face_ids)))  # type: ignore[misc]

    def _take(self, persisted_face_ids: Sequence[str]) -> Callable[[str], None]:
        def take(name: str) -> None:
            self.milvus.delete(name, persisted_face_ids)
            self._dirty.add(name)

        return take

    def flush(self) -> None:
        while self._dirty:
            name = self._dirty.pop()
            patiently(lambda name=name: self._unless_dropped(name, self.milvus.flush))  # type: ignore[misc]

    def _unless_dropped(self, name: str, act: Callable[[str], None]) -> None:
        """Do it, and mind no fault where a rebuild has dropped the generation meanwhile: readers find another one."""
        try:
            act(name)
        except (NoSuchCollection, MilvusFault):
            if name in self.milvus.names():
                raise
            self._ensured.discard(name)

    def place_of(self, template: Template) -> str:
        """Where this template lies, or will."""
        return place(Searched(template.kind, template.collection, template.recognition.pack))

    def places(self) -> list[str]:
        """Where templates lie, sorted."""
        return list(patiently(self._generations.all))

    def ids(self, place: str) -> set[str]:
        """The persistedFaceIds that readers find there."""
        with suppress(NoSuchCollection):
            return patiently(lambda: set(self.milvus.ids(place)))
        return set()


def row(entry: Entry) -> Row:
    """An entry as Milvus takes it."""
    template = entry.template
    return Row(
        id=template.persisted_face_id,
        gallery=template.collection,
        person=template.person_id or "",
        key_id=template.vector.kid,
        vector=entry.vector,
    )
