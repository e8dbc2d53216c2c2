"""Asking: sent to the right place, answered once, a retry finds the first outcome."""

import asyncio
from datetime import timedelta
from typing import Literal

import pytest

from pipeline.changes import Put, Tombstone
from pipeline.codec import Received
from pipeline.operations import Refused, Unanswered
from pipeline.records import DeleteCollection, Operation, TrainCollection
from pipeline.topology import OPERATIONS

from .conftest import NOW, World, make_world

SCOPE = "largepersongroup/people"
Outcome = Literal["erasing", "succeeded", "failed"]


def command(world: World, request: str = "r1") -> DeleteCollection:
    return DeleteCollection(**world.client.heading(SCOPE, request))


def told(operation_id: str, *, age: timedelta = timedelta(0), outcome: Outcome = "succeeded") -> Received:
    operation = Operation(operation_id=operation_id, outcome=outcome, requested=NOW, finished=NOW - age, resource="it")
    return Received(OPERATIONS, 0, 0, NOW, Put(operation_id, operation))


async def test_command_goes_to_its_scope_and_partition(world: World) -> None:
    with pytest.raises(Refused):
        await world.client.asker.ask(command(world))
    ((topic, partition, change),) = world.control.sent
    assert (topic, partition, change.key) == ("commands", world.control.deployment.scale.of_scope(SCOPE), SCOPE)


async def test_refusal_carries_the_reason_and_its_code(world: World) -> None:
    with pytest.raises(Refused, match="no collection largepersongroup/people") as refused:
        await world.client.asker.ask(command(world))
    assert refused.value.code == "LargePersonGroupNotFound"


async def test_retry_finds_the_first_outcome_without_asking_again(world: World) -> None:
    asked = command(world)
    world.client.asker.apply(told(asked.operation_id))
    assert (await world.client.asker.ask(asked)).resource == "it"
    assert world.control.sent == []


async def test_two_askers_of_one_request_hear_the_same_answer(world: World) -> None:
    world.control.down = True
    asked = command(world)
    both = [asyncio.create_task(world.client.asker.ask(asked)) for _ in range(2)]
    await asyncio.sleep(0)
    world.client.asker.apply(told(asked.operation_id))
    assert {operation.resource for operation in await asyncio.gather(*both)} == {"it"}


async def test_silence_names_what_may_be_down() -> None:
    world = make_world(timeout=0.02)
    world.control.down = True
    with pytest.raises(Unanswered, match="control stage may be down"):
        await world.client.asker.ask(command(world))


async def test_the_answer_of_a_timed_out_request_is_found_later() -> None:
    world = make_world(timeout=0.02)
    world.control.down = True
    asked = command(world)
    with pytest.raises(Unanswered):
        await world.client.asker.ask(asked)
    world.client.asker.apply(told(asked.operation_id))
    assert (await world.client.asker.ask(asked)).resource == "it"


async def test_a_broken_view_fails_those_who_wait_and_those_who_come(world: World) -> None:
    world.control.down = True
    waiting = asyncio.create_task(world.client.asker.ask(command(world)))
    await asyncio.sleep(0)
    world.client.asker.fail(ConnectionError("the view broke"))
    with pytest.raises(ConnectionError, match="the view broke"):
        await waiting
    with pytest.raises(ConnectionError, match="the view broke"):
        await world.client.asker.ask(command(world, "r2"))


async def test_a_deletion_is_refused_only_when_those_before_it_are_effective(world: World) -> None:
    """What it asks to delete may be what another is about to forget: until then it could still be named."""
    world.client.asker.apply(told("another's", outcome="erasing"))
    refused = asyncio.create_task(world.client.asker.ask(command(world)))
    again = asyncio.create_task(world.client.asker.ask(command(world)))
    await asyncio.sleep(0.05)
    assert world.control.written, "control has refused it by now"
    assert not refused.done()
    assert not again.done()
    world.client.asker.apply(told("another's"))
    for asked in (refused, again):
        with pytest.raises(Refused, match="no collection largepersongroup/people"):
            await asked


async def test_what_is_not_a_deletion_is_refused_at_once(world: World) -> None:
    world.client.asker.apply(told("another's", outcome="erasing"))
    with pytest.raises(Refused):
        await world.client.asker.ask(TrainCollection(**world.client.heading(SCOPE, "r1"), target=0))


async def test_a_deletion_that_does_not_become_effective_keeps_a_refusal_back() -> None:
    world = make_world(timeout=0.02)
    world.client.asker.apply(told("another's", outcome="erasing"))
    for _ in range(2):
        with pytest.raises(Unanswered, match="erase stage may be down"):
            await world.client.asker.ask(command(world))


async def test_a_broken_view_fails_those_who_wait_for_a_deletion(world: World) -> None:
    world.client.asker.apply(told("another's", outcome="erasing"))
    waiting = asyncio.create_task(world.client.asker.effective())
    await asyncio.sleep(0)
    world.client.asker.fail(ConnectionError("the view broke"))
    with pytest.raises(ConnectionError, match="the view broke"):
        await waiting
    with pytest.raises(ConnectionError, match="the view broke"):
        await world.client.asker.effective()


async def test_a_deletion_that_the_topic_has_forgotten_is_not_waited_for(world: World) -> None:
    world.client.asker.apply(told("old", age=timedelta(hours=49), outcome="erasing"))
    world.client.asker.apply(told("new"))
    await asyncio.wait_for(world.client.asker.effective(), 5)


def test_outcomes_are_dropped_with_the_topic_and_by_tombstone(world: World) -> None:
    asker = world.client.asker
    asker.apply(told("old", age=timedelta(hours=49)))
    asker.apply(told("recent", age=timedelta(hours=47)))
    asker.apply(told("new"))
    assert [asker.outcome(each) is None for each in ("old", "recent", "new")] == [True, False, False]
    asker.apply(Received(OPERATIONS, 0, 1, NOW, Tombstone("new")))
    assert asker.outcome("new") is None


def test_operations_of_different_principals_never_meet(world: World) -> None:
    mine = world.client.heading(SCOPE, "r1")["operation_id"]
    assert mine == world.client.heading(SCOPE, "r1")["operation_id"]
    assert mine != world.client.heading(SCOPE, "r2")["operation_id"]
