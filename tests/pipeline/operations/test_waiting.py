"""Waiting for the index: until the enrol group has committed past the last template that was acknowledged."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from pipeline.operations import Unanswered
from pipeline.operations.waiting import all_enrolled, enrolled

from .conftest import World
from .test_persons import SCOPE, enrol, gallery


@dataclass
class Committing:
    """A group that commits a little further every time somebody asks."""

    step: int
    offset: int = 0
    asked: list[tuple[str, str]] = field(default_factory=list)

    def committed(self, group: str, topic: str) -> Mapping[int, int]:
        self.asked.append((group, topic))
        self.offset += self.step
        return {0: self.offset} if self.offset else {}


async def wait(world: World, groups: Committing, timeout: float = 5.0) -> None:
    await enrolled(world.client, groups, "enrol", SCOPE, world.control.deployment, timeout=timeout)


async def test_returns_once_the_last_template_is_behind_the_group(world: World) -> None:
    await gallery(world)
    await enrol(world, "Ada", 1, 2)
    last = world.tables.templates_seen[0]
    groups = Committing(step=2)
    await wait(world, groups)
    assert groups.offset > last >= groups.offset - 2
    assert set(groups.asked) == {("enrol", "templates")}


async def test_without_templates_there_is_nothing_to_wait_for(world: World) -> None:
    groups = Committing(step=0)
    await wait(world, groups, timeout=0.5)
    assert groups.asked == [("enrol", "templates")]


async def test_a_group_that_stands_still_is_named(world: World) -> None:
    await gallery(world)
    await enrol(world, "Ada", 1)
    with pytest.raises(Unanswered, match="enrol stage or Milvus may be down"):
        await wait(world, Committing(step=0), timeout=0.2)


async def test_all_templates_are_waited_for_whatever_their_scope(world: World) -> None:
    await gallery(world)
    await enrol(world, "Ada", 1)
    last = world.tables.templates_seen[0]
    groups = Committing(step=2)
    await all_enrolled(world.client, groups, "enrol", world.control.deployment)
    assert groups.offset > last >= groups.offset - 2
    with pytest.raises(Unanswered, match="the newest templates are not indexed"):
        await all_enrolled(world.client, Committing(step=0), "enrol", world.control.deployment, timeout=0.2)
