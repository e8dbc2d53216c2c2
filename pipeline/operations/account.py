"""The end of everything that a deployment holds about anybody."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, get_args

from pipeline.operations import Refused, collections, persons
from pipeline.operations.client import Client
from pipeline.records import DIRECTORY, CollectionKind, Operation

AT_ONCE = 16


class EndingKeys(Protocol):
    """What ending an account needs of the key store; blocks."""

    def destroy_ending(self) -> int:
        """Destroy every key of faces and frames before its time; how many."""
        ...


@dataclass(frozen=True, slots=True)
class Ended:
    """Every deletion, each with a receipt of its own, and how many keys of faces and frames were destroyed."""

    erasures: tuple[Operation, ...]
    keys: int


async def erase(client: Client, keys: EndingKeys) -> Ended:
    """Forget every collection and everybody in the directory, then make every face and frame unreadable.

    What is added meanwhile is forgotten, too, as long as it comes before the last look.
    """
    erasures: list[Operation] = []
    room = asyncio.Semaphore(AT_ONCE)

    async def forgotten(delete: Callable[[], Awaitable[Operation]]) -> None:
        async with room:
            try:
                erasures.append(await delete())
            except Refused:  # somebody else was quicker, and is through
                return

    while True:
        await client.catch_up()
        if not (rest := _rest(client)):
            break
        await asyncio.gather(*(forgotten(delete) for delete in rest))
    # What somebody else has begun to forget is in no table any more, and might still be named.
    await client.asker.effective()
    destroyed = await asyncio.to_thread(keys.destroy_ending)
    return Ended(tuple(erasures), destroyed)


def _rest(client: Client) -> list[Callable[[], Awaitable[Operation]]]:
    live = client.tables.live
    scopes = [f"{each.kind}/{each.id}" for kind in get_args(CollectionKind) for each in live.collections_of(kind)]
    people = [each.person_id for each in live.persons_of(DIRECTORY)]

    def collection(scope: str) -> Callable[[], Awaitable[Operation]]:
        return lambda: collections.delete(client, scope, request_id=client.new_id())

    def person(person_id: str) -> Callable[[], Awaitable[Operation]]:
        return lambda: persons.delete(client, DIRECTORY, person_id, request_id=client.new_id())

    return [*map(collection, scopes), *map(person, people)]
