"""The galleries' index in Milvus, as enrol writes it."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from connectors import ServiceRefused
from connectors.keystore import KeyDestroyed
from connectors.milvus import Milvus, MilvusFault, NoSuchCollection, Row
from models.catalogue import Catalogue
from pipeline.stages.enrol import Entry
from pipeline.wiring.galleries.contents import place_of
from pipeline.wiring.galleries.generations import Generations
from pipeline.wiring.galleries.milvus import patiently
from pipeline.wiring.galleries.rotation import Rotations, without_key


@dataclass(frozen=True, slots=True)
class MilvusIndex:
    """Writes for the enrol stage. Every write goes to all generations there are, to each under its own rotation."""

    milvus: Milvus
    catalogue: Catalogue
    rotations: Rotations
    _dirty: set[str] = field(default_factory=set)
    _ensured: set[str] = field(default_factory=set)
    _worn: set[str] = field(default_factory=set)

    @property
    def _generations(self) -> Generations:
        return Generations(self.milvus)

    def upsert(self, entries: Sequence[Entry]) -> None:
        by_place: dict[tuple[str, str], list[Entry]] = defaultdict(list)
        for entry in entries:
            by_place[place_of(entry.template), entry.template.recognition.pack].append(entry)
        for (there, pack), members in by_place.items():
            self._write(there, pack, members)

    def _write(self, there: str, pack: str, entries: Sequence[Entry]) -> None:
        def write() -> None:
            # Listed anew each time: a generation that was made before a record was appended must get it.
            for name in self._generations.of(there) or [self._first(there)]:
                self._unless_dropped(name, lambda name: self._put(name, pack, entries))
            if there not in self._ensured:
                self._show(there)

        patiently(write)

    def _put(self, name: str, pack: str, entries: Sequence[Entry]) -> None:
        turned = rows(self.rotations, name, entries)
        self._ensure(name, pack)
        self.milvus.upsert(name, turned)
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
        # The same in every process that comes upon a place at this moment: the key store gives a name one key. A number
        # is passed over whose generation, and key, has been: Milvus was emptied by others than a rebuild.
        number = 1
        while True:
            name = f"{there}__{number}"
            try:
                self.rotations.draw(name)
            except KeyDestroyed:
                number += 1
            else:
                return name

    def _show(self, there: str) -> None:
        # Never moved here: that is for whoever has filled the next generation.
        self.milvus.point(there, self._generations.of(there)[0])
        self._ensured.add(there)

    def delete(self, persisted_face_ids: Sequence[str]) -> None:
        # A tombstone does not say where its template lay, and after a restart nobody remembers.
        for names in patiently(self._generations.all).values():
            for name in names:
                take = self._take(persisted_face_ids, alone=len(names) == 1)
                patiently(lambda name=name, take=take: self._unless_dropped(name, take))  # type: ignore[misc]

    def _take(self, persisted_face_ids: Sequence[str], *, alone: bool) -> Callable[[str], None]:
        def take(name: str) -> None:
            # Beside another one it may be in the making, and get a copy of what is deleted here a moment later.
            if name not in self._worn and (not alone or self.milvus.holds(name, persisted_face_ids)):
                self._generations.worn(name)
                self._worn.add(name)
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
        except (NoSuchCollection, MilvusFault, KeyDestroyed) as error:
            if name in self.milvus.names():
                if isinstance(error, KeyDestroyed):
                    raise without_key(name) from None
                raise
            self._ensured.discard(name)
            self._worn.discard(name)


def rows(rotations: Rotations, generation: str, entries: Sequence[Entry]) -> list[Row]:
    """Entries of one place as they lie in this generation; KeyDestroyed where it has no key."""
    turned = rotations.turned(generation, np.stack([entry.vector for entry in entries]))
    return [
        Row(
            id=entry.template.persisted_face_id,
            gallery=entry.template.collection,
            person=entry.template.person_id or "",
            key_id=entry.template.vector.kid,
            vector=vector,
        )
        for entry, vector in zip(entries, turned, strict=True)
    ]
