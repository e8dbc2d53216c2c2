"""The end of an account leaves nobody, and nothing that could be opened."""

import numpy as np

from pipeline.operations import account, collections, persons
from pipeline.operations.client import Client
from pipeline.operations.photos import Portrait
from pipeline.records import DIRECTORY, Box, Recognition
from tests.pipeline.operations.conftest import World

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


async def test_where_nobody_is_nothing_is_asked(world: World) -> None:
    assert (await account.erase(world.client, Ending())).erasures == ()
    assert world.control.sent == []
