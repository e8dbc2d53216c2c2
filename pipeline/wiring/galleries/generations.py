"""Which Milvus collections hold a gallery: its generations, of which readers are shown one.

A place such as `small_retail` is an alias; the collection behind it is `small_retail__1`, or another number. A rebuild
makes the next one beside it. Enrol writes to every generation there is; so when the alias moves, nothing is missing.

A generation that vectors were deleted from is called worn: on Milvus Lite its files keep them. That is remembered in
Milvus, by one more alias of it, so that any process knows it and it ends with the generation.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from connectors.milvus import Milvus
from pipeline.records import DIRECTORY

WORN = "worn_"
GENERATION = re.compile(r"((?:small|large|" + DIRECTORY + r")_.+)__(\d+)")


@dataclass(frozen=True, slots=True)
class Generations:
    """The generations of every place, as Milvus lists them at each call; every call blocks."""

    milvus: Milvus

    def all(self) -> Mapping[str, list[str]]:
        """The collections of each place, the oldest first. An operator's Milvus may hold others, which are left out."""
        found: dict[str, list[tuple[int, str]]] = defaultdict(list)
        for name in self.milvus.names():
            if (match := GENERATION.fullmatch(name)) is not None:
                found[match[1]].append((int(match[2]), name))
        return {place: [name for _, name in sorted(names)] for place, names in sorted(found.items())}

    def of(self, place: str) -> list[str]:
        """The collections of one place, the oldest first."""
        return list(self.all().get(place, ()))

    def shown(self, place: str) -> str | None:
        """The collection that readers find at a place; None where there is none yet."""
        return self.milvus.target(place)

    def worn(self, generation: str) -> None:
        """Remember that vectors are deleted from it: to be said before they are."""
        self.milvus.point(WORN + generation, generation)

    def due(self, made_before: datetime) -> list[str]:
        """The places whose shown generation was made by then, and is worn."""
        shown = {there: self.shown(there) for there in self.all()}
        return [
            there
            for there, name in shown.items()
            if name is not None and made(name) <= made_before and self.milvus.target(WORN + name) is not None
        ]

    def next(self, place: str, now: datetime) -> str:
        """The name of a generation that is newer than all of this place, and that no dropped one has had."""
        newest = max((int(name.rpartition("__")[2]) for name in self.of(place)), default=0)
        return f"{place}__{max(newest + 1, int(now.timestamp() * 1000))}"


def made(generation: str) -> datetime:
    """When it was made; of a place's first one, which has no such number, 1970."""
    return datetime.fromtimestamp(int(generation.rpartition("__")[2]) / 1000, UTC)
