"""The index in Milvus made anew: the next generation of every place, filled beside the one that readers find."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from connectors import ServiceRefused
from connectors.milvus import Milvus, NoSuchCollection
from pipeline.galleries import Searched
from pipeline.records import Template
from pipeline.stages.enrol import Entry
from pipeline.wiring.galleries.generations import GENERATION, Generations
from pipeline.wiring.galleries.index import row
from pipeline.wiring.galleries.milvus import place

# Not the name of a generation: enrol finds it only once it is complete.
MAKING = "making_"
DROPPING = "dropping_"
PAUSE = 1.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MilvusRebuilding:
    """One rebuild at a time: a second one drops what the first has begun, which then ends with ServiceRefused."""

    milvus: Milvus
    generations: Generations

    @classmethod
    def of(cls, milvus: Milvus) -> "MilvusRebuilding":
        return cls(milvus, Generations(milvus))

    def place_of(self, template: Template) -> str:
        return place(Searched(template.kind, template.collection, template.recognition.pack))

    def begin(self) -> Mapping[str, str]:
        self.drop_hidden()
        shown = {there: self.generations.shown(there) for there in self.generations.all()}
        return {there: self._next(there, name) for there, name in shown.items() if name is not None}

    def _next(self, there: str, shown: str) -> str:
        name = self.generations.next(there)
        self.milvus.ensure(MAKING + name, *self.milvus.form(shown))
        self.milvus.rename(MAKING + name, name)
        return name

    def held(self, generation: str) -> set[str]:
        return self._alone(lambda: set(self.milvus.ids(generation)))

    def write(self, generation: str, entries: Sequence[tuple[Template, NDArray[np.float32]]]) -> None:
        rows = [row(Entry(template, vector)) for template, vector in entries]
        self._alone(lambda: self.milvus.upsert(generation, rows))

    def remove(self, generation: str, persisted_face_ids: Collection[str]) -> None:
        self._alone(lambda: self.milvus.delete(generation, list(persisted_face_ids)))

    def show(self, place: str, generation: str) -> None:
        self._alone(lambda: self.milvus.flush(generation))
        self._alone(lambda: self.milvus.point(place, generation, moving=True))

    def drop_hidden(self) -> None:
        for there, names in self.generations.all().items():
            shown = self.generations.shown(there)
            # Where none is shown yet, enrol has just made the first.
            for name in names if shown is not None else ():
                if name != shown:
                    self.milvus.rename(name, DROPPING + name)
        doomed = [name for name in self.milvus.names() if name.startswith((MAKING, DROPPING)) and _ours(name)]
        if doomed:
            # A write that found it under its old name is over by then: Milvus Lite answers it with any fault it likes.
            time.sleep(PAUSE)
        for name in doomed:
            self.milvus.drop(name)

    def _alone(self, act: Callable[[], T]) -> T:
        try:
            return act()
        except NoSuchCollection:
            raise ServiceRefused("another rebuild dropped what this one built: let that one end") from None


def _ours(name: str) -> bool:
    return GENERATION.fullmatch(name.partition("_")[2]) is not None
