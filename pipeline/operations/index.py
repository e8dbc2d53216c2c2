"""Does the index hold what lives, and nothing else?"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from pipeline.operations.client import Client
from pipeline.records import Template


class Contents(Protocol):
    """What lies in the index; every call blocks, but `place_of`."""

    def place_of(self, template: Template) -> str:
        """Where a template lies, or will."""
        ...

    def places(self) -> list[str]:
        """Where templates lie."""
        ...

    def ids(self, place: str) -> set[str]:
        """The persistedFaceIds that lie there."""
        ...


@dataclass(frozen=True, slots=True)
class Compared:
    """A place of the index: how many templates live, how many it holds, how many of each the other does not know."""

    place: str
    live: int
    indexed: int
    missing: int
    surplus: int

    @property
    def same(self) -> bool:
        return not self.missing and not self.surplus


async def compared(client: Client, contents: Contents) -> list[Compared]:
    """Every place of the index beside the live set, in order of their names.

    What comes or goes while the index is read counts neither as missing nor as surplus. The index follows the tables:
    wait first until it has (`waiting.all_enrolled`).
    """
    await client.catch_up()
    before = _living(client, contents)
    held = await asyncio.to_thread(_held, contents, before.keys())
    await client.catch_up()
    after = _living(client, contents)
    return [
        Compared(
            place,
            live=len(after.get(place, ())),
            indexed=len(found),
            missing=len((before.get(place, set()) & after.get(place, set())) - found),
            surplus=len(found - before.get(place, set()) - after.get(place, set())),
        )
        for place, found in sorted(held.items())
    ]


async def orphans(client: Client, contents: Contents) -> set[str]:
    """The persistedFaceIds that lie in the index and do not live: of a transaction that was never committed, say.

    Whatever lay there before the tables caught up stands in a record that is decided by now, and no id is used twice:
    so nothing that lives, or will, is among them.
    """
    held = await asyncio.to_thread(_held, contents, ())
    await client.catch_up()
    living = {template.persisted_face_id for template in client.tables.live.templates.values()}
    return set().union(*held.values()) - living


def _living(client: Client, contents: Contents) -> Mapping[str, set[str]]:
    living: dict[str, set[str]] = defaultdict(set)
    for template in client.tables.live.templates.values():
        living[contents.place_of(template)].add(template.persisted_face_id)
    return living


def _held(contents: Contents, wanted: Collection[str]) -> dict[str, set[str]]:
    return {place: contents.ids(place) for place in {*contents.places(), *wanted}}
