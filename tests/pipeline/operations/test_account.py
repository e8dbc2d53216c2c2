"""The end of an account leaves nobody, and nothing that could be opened."""

import asyncio

import msgspec
import numpy as np

from pipeline.changes import Put
from pipeline.codec import Received
from pipeline.operations import account, collections, persons
from pipeline.operations.client import Client
from pipeline.operations.photos import Portrait
from pipeline.records import DIRECTORY, Box, Operation, Recognition
from pipeline.topology import OPERATIONS
from tests.pipeline.operations.conftest import NOW, World

MODEL = Recognition("retail")


class Ending:
    """Keys with an end, of which there are three."""

    def destroy_ending(self) -> int:
        return 3


async def _someone(client: Client, scope: str) -> str:
    portrait = Portrait(Box(0, 0, 1, 1), 1.0, np.eye(1, 4, dtype=np.float32)[0])
    return await persons.add(client, scope, "Ada", [portrait], recognition=MODEL, request_id=client.new_id())


async def test_everybody_is_forgotten(world: World) -> None:
    client = world.client
    for scope in ("largepersongroup/people", "persongroup/staff", "facelist/seen"):
        await collections.ensure(client, scope, recognition=MODEL, request_id=client.new_id())
    for scope in ("largepersongroup/people", "persongroup/staff", DIRECTORY, DIRECTORY):
        await _someone(client, scope)
    done = await account.erase(client, Ending())
    live = client.tables.live
    assert (live.collections, live.persons, live.templates) == ({}, {}, {})
    assert world.keys.alive == {}
    assert done.keys == 3
    kinds = [each.erasure.kind for each in done.erasures if each.erasure is not None]
    assert sorted(kinds) == ["collection"] * 3 + ["person"] * 2
    assert sum(each.forgotten for each in done.erasures) == 3 + 2 * 4


async def test_what_somebody_else_began_to_forget_is_waited_for(world: World) -> None:
    """It is in no table any more, and could still be named."""
    asker = world.client.asker
    begun = Operation(operation_id="another's", outcome="erasing", requested=NOW, finished=NOW)
    asker.apply(Received(OPERATIONS, 0, 0, NOW, Put("another's", begun)))
    erasing = asyncio.create_task(account.erase(world.client, Ending()))
    await asyncio.sleep(0.05)
    assert not erasing.done()
    done = msgspec.structs.replace(begun, outcome="succeeded")
    asker.apply(Received(OPERATIONS, 0, 1, NOW, Put("another's", done)))
    assert (await erasing).keys == 3


async def test_where_nobody_is_nothing_is_asked(world: World) -> None:
    assert (await account.erase(world.client, Ending())).erasures == ()
    assert world.control.sent == []
