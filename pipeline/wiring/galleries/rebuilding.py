"""The index in Milvus made anew: the next generation of every place, filled beside the one that readers find."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from connectors import ServiceRefused
from connectors.keystore import KeyDestroyed
from connectors.milvus import Milvus, NoSuchCollection
from pipeline.records import Template
from pipeline.stages.enrol import Entry
from pipeline.wiring.galleries.contents import place_of
from pipeline.wiring.galleries.generations import GENERATION, Generations
from pipeline.wiring.galleries.index import rows
from pipeline.wiring.galleries.rotation import Rotations, Vectors

# Not the name of a generation: enrol finds it only once it is complete.
MAKING: Final = "making_"
DROPPING: Final = "dropping_"
PAUSE: Final = 1.0
WORK: Final = "rebuild"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MilvusRebuilding:
    """What a rebuild does, step by step. After any of them the process may be killed: the next one clears up.

    A generation gets its key before its name, and loses it once nobody finds it by its name any more and before its
    files go. So no key outlives its generation, and none is missing where there is one.
    """

    milvus: Milvus
    generations: Generations
    rotations: Rotations
    now: Callable[[], datetime]

    @classmethod
    def of(cls, milvus: Milvus, rotations: Rotations, now: Callable[[], datetime]) -> "MilvusRebuilding":
        return cls(milvus, Generations(milvus), rotations, now)

    def alone(self) -> AbstractContextManager[None]:
        return self.rotations.keys.alone(WORK)

    def place_of(self, template: Template) -> str:
        return place_of(template)

    def due(self, made_before: datetime) -> list[str]:
        return self.generations.due(made_before)

    def begin(self, among: Collection[str] | None = None) -> Mapping[str, str]:
        self.drop_hidden()
        shown = {there: self.generations.shown(there) for there in self.generations.all()}
        return {
            there: self._next(there, name)
            for there, name in shown.items()
            if name is not None and (among is None or there in among)
        }

    def _next(self, there: str, shown: str) -> str:
        name = self.generations.next(there, self.now())
        self.milvus.ensure(MAKING + name, *self.milvus.form(shown))
        self.rotations.draw(name)
        self.milvus.rename(MAKING + name, name)
        return name

    def held(self, generation: str) -> set[str]:
        return self._undisturbed(lambda: set(self.milvus.ids(generation)))

    def write(self, generation: str, entries: Sequence[tuple[Template, Vectors]]) -> None:
        def write() -> None:
            turned = rows(self.rotations, generation, [Entry(template, vector) for template, vector in entries])
            self.milvus.upsert(generation, turned)

        self._undisturbed(write)

    def remove(self, generation: str, persisted_face_ids: Collection[str]) -> None:
        self._undisturbed(lambda: self.generations.worn(generation))
        self._undisturbed(lambda: self.milvus.delete(generation, list(persisted_face_ids)))

    def show(self, place: str, generation: str) -> None:
        self._undisturbed(lambda: self.milvus.flush(generation))
        self._undisturbed(lambda: self.milvus.point(place, generation, moving=True))

    def drop_hidden(self) -> None:
        for there, names in self.generations.all().items():
            shown = self.generations.shown(there)
            for name in names:
                # Where none is shown yet, enrol has just made the first, and its key.
                if name != shown and (shown is not None or not self.rotations.drawn(name)):
                    self.milvus.rename(name, DROPPING + name)
        doomed = [name for name in self.milvus.names() if name.startswith((MAKING, DROPPING)) and _ours(name)]
        if doomed:
            # A write that found it under its old name is over by then: Milvus Lite answers it with any fault it likes.
            time.sleep(PAUSE)
        for name in doomed:
            self.rotations.destroy(name.partition("_")[2])
            self.milvus.drop(name)

    def _undisturbed(self, act: Callable[[], T]) -> T:
        try:
            return act()
        except (NoSuchCollection, KeyDestroyed):
            raise ServiceRefused("another rebuild dropped what this one built: let that one end") from None


def _ours(name: str) -> bool:
    return GENERATION.fullmatch(name.partition("_")[2]) is not None
