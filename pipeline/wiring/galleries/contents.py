"""What lies in Milvus, as it is compared with the tables: ids, never vectors."""

from contextlib import suppress
from dataclasses import dataclass

from connectors.milvus import Milvus, NoSuchCollection
from pipeline.galleries import Searched
from pipeline.records import Template
from pipeline.wiring.galleries.generations import Generations
from pipeline.wiring.galleries.milvus import patiently, place


@dataclass(frozen=True, slots=True)
class MilvusContents:
    """The places of the index, and whose templates readers find there."""

    milvus: Milvus

    def place_of(self, template: Template) -> str:
        """Where this template lies, or will."""
        return place_of(template)

    def places(self) -> list[str]:
        """Where templates lie, sorted."""
        return list(patiently(Generations(self.milvus).all))

    def ids(self, place: str) -> set[str]:
        """The persistedFaceIds that readers find there."""
        with suppress(NoSuchCollection):
            return patiently(lambda: set(self.milvus.ids(place)))
        return set()


def place_of(template: Template) -> str:
    """Where this template lies, or will."""
    return place(Searched(template.kind, template.collection, template.recognition.pack))
