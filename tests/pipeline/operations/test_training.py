"""Training: additions are searchable once the index is behind them; the note of it stands in the collection."""

import asyncio
from collections.abc import Mapping

import pytest

from pipeline.operations import Refused, collections, persons
from pipeline.operations.training import Trainer
from pipeline.topology import Deployment

from .conftest import World
from .test_persons import RETAIL, SCOPE, portrait_of


class Positions:
    """A consumer group whose position a test moves."""

    def __init__(self) -> None:
        self.position = 0

    def committed(self, group: str, topic: str) -> Mapping[int, int]:
        assert (group, topic) == ("enrol", "templates")
        return {0: self.position} if self.position else {}


async def furnished(world: World) -> None:
    await collections.add(world.client, SCOPE, recognition=RETAIL, name="people", request_id="c")
    await persons.add(world.client, SCOPE, "Ada", [portrait_of(1)], recognition=RETAIL, request_id="p")


async def test_never_trained_is_told_apart_from_being_trained(world: World) -> None:
    await furnished(world)
    groups = Positions()
    trainer = Trainer(groups, Deployment())
    for ask in (trainer.status(world.client, SCOPE), trainer.required(world.client, SCOPE)):
        with pytest.raises(Refused) as refusal:
            await ask
        assert refusal.value.code == "LargePersonGroupNotTrained"
    await trainer.begin(world.client, SCOPE, request_id="t1")
    status = await trainer.status(world.client, SCOPE)
    assert (status.status, status.succeeded) == ("running", None)
    with pytest.raises(Refused) as refusal:
        await trainer.required(world.client, SCOPE)
    assert refusal.value.code == "LargePersonGroupTrainingNotFinished"


async def test_a_training_succeeds_when_the_index_is_behind_its_target(world: World) -> None:
    await furnished(world)
    groups = Positions()
    trainer = Trainer(groups, Deployment())
    await trainer.begin(world.client, SCOPE, request_id="t1")
    target = next(iter(world.tables.templates_seen.values()))
    groups.position = target
    assert (await trainer.status(world.client, SCOPE)).status == "running"
    groups.position = target + 1
    assert (await trainer.required(world.client, SCOPE)).training is not None
    groups.position = 0
    status = await trainer.status(world.client, SCOPE)
    assert (status.status, status.succeeded is not None) == ("succeeded", True)


async def test_a_second_training_keeps_the_first_until_it_is_done(world: World) -> None:
    await furnished(world)
    groups = Positions()
    trainer = Trainer(groups, Deployment())
    await trainer.begin(world.client, SCOPE, request_id="t1")
    groups.position = 1000
    await trainer.status(world.client, SCOPE)
    groups.position = 0
    await trainer.begin(world.client, SCOPE, request_id="t2")
    status = await trainer.status(world.client, SCOPE)
    assert (status.status, status.succeeded is not None) == ("running", True)
    await trainer.required(world.client, SCOPE)
    groups.position = 1000
    assert (await trainer.status(world.client, SCOPE)).status == "succeeded"


async def test_several_replicas_that_see_the_end_note_it_once(world: World) -> None:
    await furnished(world)
    groups = Positions()
    trainer = Trainer(groups, Deployment())
    await trainer.begin(world.client, SCOPE, request_id="t1")
    groups.position = 1000
    others = [world.client.for_principal(name) for name in ("a", "b", "c")]
    answers = await asyncio.gather(*(trainer.status(other, SCOPE) for other in others))
    assert {answer.status for answer in answers} == {"succeeded"}
    assert len({answer.succeeded for answer in answers}) == 1


async def test_an_empty_collection_is_trained_at_once(world: World) -> None:
    await collections.add(world.client, SCOPE, recognition=RETAIL, name="people", request_id="c")
    trainer = Trainer(Positions(), Deployment())
    await trainer.begin(world.client, SCOPE, request_id="t1")
    assert (await trainer.status(world.client, SCOPE)).status == "succeeded"


async def test_what_is_not_there_is_not_trained(world: World) -> None:
    with pytest.raises(Refused) as refusal:
        await Trainer(Positions(), Deployment()).begin(world.client, SCOPE, request_id="t1")
    assert refusal.value.code == "LargePersonGroupNotFound"
