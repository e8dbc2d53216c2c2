"""What `faceline watch` shows of one change: the name, unless it is gone; nothing else of anybody."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from pipeline.changes import Put, Tombstone
from pipeline.codec import Received
from pipeline.commands.watch import as_line, as_object
from pipeline.operations import persons
from pipeline.operations.client import Client
from pipeline.operations.watch import name_of
from pipeline.records import Identification
from pipeline.topology import IDENTIFICATIONS, OPERATIONS
from tests.pipeline.operations.conftest import World, make_world
from tests.pipeline.operations.test_persons import SCOPE, enrol, gallery

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
UNKNOWN = Identification(
    track_id="0d5a34f1-6f7c",
    revision=1,
    camera="entrance",
    face_id="f1",
    face_expires=NOW,
    captured_at=NOW,
    identified_at=NOW,
    expires=NOW,
    decision="unknown",
    model="retail",
    engine="milvus",
    threshold=0.5,
    similarity=0.25,
)


def received(change: Put[Identification] | Tombstone) -> Received:
    return Received(IDENTIFICATIONS, 0, 0, NOW + timedelta(milliseconds=85), change)


def identified(person_id: str) -> Received:
    told = msgspec.structs.replace(UNKNOWN, decision="identified", person_id=person_id, similarity=0.75)
    return received(Put(told.track_id, told))


@pytest.fixture
async def world() -> World:
    return await gallery(make_world())


async def test_identified_person_is_shown_by_name(world: World) -> None:
    person_id = await enrol(world, "Ada Lovelace", 1)
    shown = await as_object(world.client, identified(person_id))
    assert (shown["name"], shown["person"], shown["similarity"], shown["latency_ms"]) == (
        "Ada Lovelace",
        person_id,
        0.75,
        85,
    )
    assert (await as_line(world.client, identified(person_id))).split()[1:] == [
        "entrance", "0d5a34f1", "Ada", "Lovelace", "0.750", "85", "ms",
    ]  # fmt: skip


async def test_unknown_and_forgotten_are_shown_as_such(world: World) -> None:
    client: Client = world.client
    assert "unknown" in await as_line(client, received(Put("t", UNKNOWN)))
    assert (await as_object(client, received(Put("t", UNKNOWN))))["name"] is None
    assert (await as_line(client, received(Tombstone("0d5a34f1-6f7c")))).endswith("0d5a34f1  forgotten")
    assert await as_object(client, received(Tombstone("t"))) == {
        "track": "t",
        "decision": "forgotten",
        "time": (NOW + timedelta(milliseconds=85)).isoformat(),
    }


async def test_name_is_gone_with_the_person(world: World) -> None:
    person_id = await enrol(world, "Ada Lovelace", 1)
    await persons.delete(world.client, SCOPE, person_id, request_id="r9")
    await asyncio.sleep(0)
    assert "(forgotten)" in await as_line(world.client, identified(person_id))
    assert (await as_object(world.client, identified(person_id)))["name"] is None


@pytest.mark.parametrize("shown", [as_line, as_object], ids=lambda shown: shown.__name__)
async def test_a_view_that_lags_behind_shows_no_name_after_the_acknowledgement(
    world: World, shown: Callable[[Client, Received], Awaitable[object]]
) -> None:
    """As in another process, whose lease of the destroyed key ends some seconds later."""
    person_id = await enrol(world, "Ada Lovelace", 1)
    hear, leases, late = world.control.hear, dict(world.keys.alive), list[Received]()
    world.control.hear = lambda told: hear(told) if told.topic is OPERATIONS else late.append(told)

    async def catch_up() -> None:
        while late:
            hear(late.pop(0))

    lagging: Client = replace(world.client, catch_up=catch_up)
    await persons.delete(world.client, SCOPE, person_id, request_id="r9")
    world.keys.alive.update(leases)
    told = identified(person_id)
    assert isinstance(told.change, Put)
    assert name_of(lagging, told.change.value) == "Ada Lovelace", "so far nothing here tells it"
    assert "Ada" not in str(await shown(lagging, told))
