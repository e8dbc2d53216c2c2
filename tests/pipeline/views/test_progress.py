"""How far a view has come, how far others say that they have, and where the tombstones of an operation stand."""

from datetime import timedelta

from pipeline.changes import Put, Tombstone
from pipeline.records import Watermark
from pipeline.topology import FACES, GATE, PERSONS, TEMPLATES
from pipeline.views import Positions, Seen, Tombstones, Watermarks
from pipeline.views.tombstones import REMEMBERED
from tests.pipeline.examples import NOON, person, received


def test_a_view_stands_behind_its_newest_record_of_each_table() -> None:
    positions = Positions()
    positions.apply(received(PERSONS, Put("p0", person("p0")), 4))
    positions.apply(received(TEMPLATES, Tombstone("p0/e0"), 9))
    positions.apply(received(FACES, Tombstone("f0"), 30))
    assert (positions.behind, positions.tombstones) == ({"persons/0": 5, "templates/0": 10}, 1)


def test_an_owner_of_whom_nothing_is_known_is_behind_everybody() -> None:
    watermarks = Watermarks()
    assert watermarks.behind(0, {})
    watermarks.apply(received(GATE, Put("identify", Watermark(positions={"persons/0": 5}, by="identify", at=NOON))))
    assert not watermarks.behind(0, {"persons/0": 5})
    assert watermarks.behind(0, {"persons/0": 6})
    assert watermarks.behind(0, {"templates/0": 1})
    assert watermarks.behind(1, {"persons/0": 5})


def test_the_tombstones_of_each_operation_are_found() -> None:
    tombstones = Tombstones()
    for offset, cause in enumerate(("a", "b", "a", None)):
        tombstones.apply(received(PERSONS, Tombstone(f"p{offset}", cause), offset))
    tombstones.apply(received(TEMPLATES, Tombstone("p0/e0", "a"), 7))
    assert tombstones.of("a") == {"persons/0": Seen(0, 2, 2), "templates/0": Seen(7, 7, 1)}
    assert tombstones.of("b") == {"persons/0": Seen(1, 1, 1)}
    assert tombstones.of("c") == {}


def test_a_record_that_is_read_twice_counts_once() -> None:
    tombstones = Tombstones()
    for _ in range(2):
        tombstones.apply(received(PERSONS, Tombstone("p0", "a"), 5))
    assert tombstones.of("a") == {"persons/0": Seen(5, 5, 1)}


def test_old_operations_are_let_go_of() -> None:
    tombstones = Tombstones()
    tombstones.apply(received(PERSONS, Tombstone("p0", "a"), 0))
    tombstones.apply(received(PERSONS, Tombstone("p1", "b"), 1, at=NOON + REMEMBERED - timedelta(seconds=1)))
    assert tombstones.of("a")
    tombstones.apply(received(PERSONS, Tombstone("p2", "c"), 2, at=NOON + REMEMBERED))
    assert not tombstones.of("a")
    assert tombstones.of("b")
