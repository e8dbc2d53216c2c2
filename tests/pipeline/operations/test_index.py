"""The index beside the live set: what is missing, what is too much, and what merely came or went meanwhile."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from pipeline.changes import Put, Tombstone
from pipeline.operations.index import Compared, compared, orphans
from pipeline.records import Template
from pipeline.topology import TEMPLATES
from tests.pipeline.examples import template

from .conftest import World


@dataclass
class Shelves:
    """An index in a dict; while it is read, `meanwhile` happens."""

    held: dict[str, set[str]] = field(default_factory=dict)
    meanwhile: Callable[[], None] = lambda: None

    def place_of(self, shown: Template) -> str:
        return f"{shown.kind}_{shown.recognition.pack}"

    def places(self) -> list[str]:
        return sorted(self.held)

    def ids(self, place: str) -> set[str]:
        self.meanwhile()
        return self.held.get(place, set())


def living(world: World, *faces: str) -> None:
    for face in faces:
        world.tables.live.apply_change(TEMPLATES, Put(f"p0/{face}", template(face)))


PLACE = "largepersongroup_sface"


async def test_an_index_that_holds_what_lives_is_the_same(world: World) -> None:
    living(world, "a", "b")
    (found,) = await compared(world.client, Shelves({PLACE: {"a", "b"}}))
    assert (found, found.same) == (Compared(PLACE, live=2, indexed=2, missing=0, surplus=0), True)
    assert await compared(world.client, Shelves({PLACE: {"a", "b"}, "small_dlib": set()})) == [
        found,
        Compared("small_dlib", 0, 0, 0, 0),
    ]


@pytest.mark.parametrize(
    ("held", "told"),
    [
        ({}, [Compared(PLACE, 2, 0, 2, 0)]),
        ({PLACE: {"a"}}, [Compared(PLACE, 2, 1, 1, 0)]),
        ({PLACE: {"a", "b", "gone"}}, [Compared(PLACE, 2, 3, 0, 1)]),
        (
            {PLACE: {"b", "gone"}, "small_dlib": {"a"}},
            [Compared(PLACE, 2, 2, 1, 1), Compared("small_dlib", 0, 1, 0, 1)],
        ),
    ],
    ids=["nothing", "missing", "surplus", "elsewhere"],
)
async def test_both_directions_are_counted(world: World, held: dict[str, set[str]], told: list[Compared]) -> None:
    living(world, "a", "b")
    found = await compared(world.client, Shelves(held))
    assert found == told
    assert not all(each.same for each in found)


async def test_what_comes_or_goes_while_the_index_is_read_is_no_difference(world: World) -> None:
    living(world, "stays", "goes")

    def change() -> None:
        living(world, "comes")
        world.tables.live.apply_change(TEMPLATES, Tombstone("p0/goes"))

    for held in ({"stays"}, {"stays", "goes"}, {"stays", "comes"}):
        living(world, "goes")
        world.tables.live.apply_change(TEMPLATES, Tombstone("p0/comes"))
        (found,) = await compared(world.client, Shelves({PLACE: held}, change))
        assert found.same


async def test_what_does_not_live_is_an_orphan_wherever_it_lies(world: World) -> None:
    living(world, "a", "b")
    assert await orphans(world.client, Shelves({PLACE: {"a", "lost"}, "small_dlib": {"b", "gone"}})) == {"lost", "gone"}
    assert await orphans(world.client, Shelves({})) == set()


async def test_what_is_being_enrolled_while_the_index_is_read_is_none(world: World) -> None:
    shelves = Shelves({PLACE: {"a", "new"}}, meanwhile=lambda: living(world, "a", "new"))
    assert await orphans(world.client, shelves) == set()
