"""Make the index anew from the tables, beside the old one, and then switch: how deleted vectors leave Milvus's files.

Enrol goes on meanwhile, and writes to every generation of a place that it finds when it begins a batch. So a record
that is appended after a generation was made reaches it by enrol; all others are in the tables by then, and are copied
here. When readers are shown the new generation, it has everything that the old one has.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np

from pipeline.operations.client import Client
from pipeline.operations.faces import Vector
from pipeline.records import Template

# Longer than any search that began before the switch, and than a reader takes to notice it.
GRACE = 12.0
AT_ONCE = 1000
# How often it is looked whether an index is due to be made anew.
LOOK = 60.0
# Seconds of a rebuild whatever its size: Kafka's tables, a generation made and one dropped at every place.
BUILD = 30.0
# Templates a second that are opened, turned, written and flushed: a third of what two busy cores do with Milvus Lite.
PER_SECOND = 250


class Rebuildable(Protocol):
    """An index in generations; every call blocks, but `place_of`."""

    def place_of(self, template: Template) -> str:
        """Where a template lies."""
        ...

    def alone(self) -> AbstractContextManager[None]:
        """Held while a rebuild is at work, in the whole deployment; refused to a second one."""
        ...

    def due(self, made_before: datetime) -> list[str]:
        """The places whose shown generation was made by then, and keeps vectors that were deleted."""
        ...

    def begin(self, among: Collection[str] | None = None) -> Mapping[str, str]:
        """Make an empty generation beside the shown one of every place, or of these, by place.

        What others left unfinished is dropped first.
        """
        ...

    def held(self, generation: str) -> set[str]:
        """The persistedFaceIds that lie in a generation."""
        ...

    def write(self, generation: str, entries: Sequence[tuple[Template, Vector]]) -> None: ...

    def remove(self, generation: str, persisted_face_ids: Collection[str]) -> None:
        """Take them out again; what is left of them in the files makes the next rebuild due."""
        ...

    def show(self, place: str, generation: str) -> None:
        """Make it fast to search, and the one that readers find from now on."""
        ...

    def drop_hidden(self) -> None:
        """Drop every generation that readers do not find."""
        ...


def kept_at_most(renew: float, templates: int) -> float:
    """Seconds from a deletion until its vectors have left the index's files, with `[milvus] renew` = `renew` seconds.

    Of so many templates in all, on Milvus Lite, while enrol, Kafka and Milvus run: a generation as old as `renew` is
    found worn, and dropped when its successor is there; twice, because another rebuild may be under way first. What is
    deleted while one copies may be in the copy, which was made before the deletion and so is due no later than that. A
    Milvus server unlinks what was dropped when its own `dataCoord.gc` says so.
    """
    once = LOOK + BUILD + templates / PER_SECOND + GRACE
    return renew + 2 * once


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A place, and how many templates its new generation has."""

    place: str
    templates: int


async def rebuild(
    client: Client,
    index: Rebuildable,
    open_template: Callable[[Template], Vector | None],
    *,
    made_before: datetime | None = None,
    grace: float = GRACE,
    tell: Callable[[str], None] = lambda _: None,
) -> list[Rebuilt]:
    """Every place anew, in order of their names; with `made_before`, those that are due.

    Ended halfway, it leaves what readers find as it was. ServiceRefused while another one is at work.
    """
    with ExitStack() as held:
        await asyncio.to_thread(lambda: held.enter_context(index.alone()))
        among = None if made_before is None else await asyncio.to_thread(index.due, made_before)
        return await _rebuilt(client, index, open_template, among, grace, tell)


async def _rebuilt(
    client: Client,
    index: Rebuildable,
    open_template: Callable[[Template], Vector | None],
    among: Collection[str] | None,
    grace: float,
    tell: Callable[[str], None],
) -> list[Rebuilt]:
    begun = await asyncio.to_thread(index.begin, among)
    # From here on the tables show every record that enrol may have written to the old generation alone.
    await client.catch_up()
    known = _living(client, index)
    rebuilt = []
    for place, generation in sorted(begun.items()):
        tell(f"building {generation}")
        count = await _Copy(client, index, open_template, place, generation).run(known.get(place, {}))
        await asyncio.to_thread(index.show, place, generation)
        rebuilt.append(Rebuilt(place, count))
    if rebuilt:
        tell("waiting for the last searches of the old ones")
        await asyncio.sleep(grace)
    await asyncio.to_thread(index.drop_hidden)
    return rebuilt


def _living(client: Client, index: Rebuildable) -> Mapping[str, dict[str, Template]]:
    living: dict[str, dict[str, Template]] = defaultdict(dict)
    for template in client.tables.live.templates.values():
        living[index.place_of(template)][template.persisted_face_id] = template
    return living


@dataclass(frozen=True, slots=True)
class _Copy:
    """Brings one generation to what the tables show."""

    client: Client
    index: Rebuildable
    open_template: Callable[[Template], Vector | None]
    place: str
    generation: str

    async def run(self, known: Mapping[str, Template]) -> int:
        """Copy those of `known` that still live; how many templates the generation has then.

        Enrol writes here too: a template whose deletion it has done already may be written once more by us. So it is
        looked at until there is nothing to do.
        """
        closed: set[str] = set()
        while True:
            held = await asyncio.to_thread(self.index.held, self.generation)
            # After the look: whatever was there lives in the tables by now, or has been deleted for good.
            await self.client.catch_up()
            living = _living(self.client, self.index).get(self.place, {})
            missing = [known[face] for face in known.keys() & living.keys() - held - closed]
            surplus = held - living.keys()
            if not missing and not surplus:
                return len(held)
            for start in range(0, len(missing), AT_ONCE):
                closed |= await asyncio.to_thread(self._write, missing[start : start + AT_ONCE])
            if surplus:
                await asyncio.to_thread(self.index.remove, self.generation, surplus)

    def _write(self, templates: Sequence[Template]) -> set[str]:
        """Write those that open; the ids of the others, whose keys are destroyed."""
        opened = [(template, self.open_template(template)) for template in templates]
        entries = [(each, vector) for each, vector in opened if vector is not None and np.isfinite(vector).all()]
        if entries:
            self.index.write(self.generation, entries)
        return {each.persisted_face_id for each in templates} - {each.persisted_face_id for each, _ in entries}
