"""The index hears the last word about every template, and nothing that cannot be searched."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.changes import Change, Put, Tombstone
from pipeline.codec import Unusable
from pipeline.records import Template
from pipeline.stages.contract import Obliged
from pipeline.stages.enrol import Enrol, Entry
from pipeline.topology import ENROL, TEMPLATES
from tests.pipeline.examples import NOON, received, template


class Shelf:
    """An index in a dict, by collection and persistedFaceId."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.calls: list[str] = []

    def upsert(self, entries: Sequence[Entry]) -> None:
        assert len({entry.template.collection for entry in entries}) == 1
        self.calls.append("upsert")
        self.entries |= {entry.template.persisted_face_id: entry for entry in entries}

    def delete(self, persisted_face_ids: Sequence[str]) -> None:
        assert persisted_face_ids
        self.calls.append("delete")
        for each in persisted_face_ids:
            self.entries.pop(each, None)

    def flush(self) -> None:
        self.calls.append("flush")


VECTORS = {"closed": None, "nan": np.array([1, np.nan], np.float32), "inf": np.array([np.inf, 0], np.float32)}


def opened(template: Template) -> NDArray[np.float32] | None:
    """Every template opens but `closed`; `nan` and `inf` are broken."""
    return VECTORS.get(template.persisted_face_id, np.ones(2, np.float32))


def put(face_id: str, uid: str = "u0") -> Put[Template]:
    return Put(f"p0/{face_id}", template(face_id, uid=uid))


def enrolled(shelf: Shelf, *changes: Change[Any]) -> list[Any]:
    stage = Enrol(shelf, opened)
    inputs = [received(TEMPLATES, change, offset) for offset, change in enumerate(changes)]
    return stage.step(None, stage.prepare(inputs), NOON)[1]


def test_it_is_the_stage_of_the_map() -> None:
    assert Enrol(Shelf(), opened).node is ENROL


def test_a_batch_is_one_upsert_per_collection_one_delete_and_one_flush() -> None:
    shelf = Shelf()
    assert enrolled(shelf, put("e0"), put("e1", "u1"), put("e2"), Tombstone("p1/e8"), Tombstone("p1/e9")) == []
    assert shelf.calls == ["upsert", "upsert", "delete", "flush"]
    assert sorted(shelf.entries) == ["e0", "e1", "e2"]


def test_a_batch_without_deletions_deletes_nothing() -> None:
    shelf = Shelf()
    enrolled(shelf, put("e0"))
    assert shelf.calls == ["upsert", "flush"]


def test_a_template_whose_key_is_destroyed_is_passed_over() -> None:
    shelf = Shelf()
    assert enrolled(shelf, put("closed"), put("e0")) == []
    assert list(shelf.entries) == ["e0"]


@pytest.mark.parametrize("broken", ["nan", "inf"])
def test_a_template_that_is_no_point_in_space_is_a_dead_letter(broken: str) -> None:
    shelf = Shelf()
    outputs = enrolled(shelf, put("e0"), put(broken))
    assert outputs == [Unusable(TEMPLATES, 0, 1, "the template is not finite")]
    assert list(shelf.entries) == ["e0"]


def test_broken_and_deleted_in_one_batch_is_deleted() -> None:
    shelf = Shelf()
    assert enrolled(shelf, put("nan"), Tombstone("p0/nan")) == []
    assert shelf.calls == ["delete", "flush"]


def test_a_face_list_s_templates_come_and_go_under_the_list_s_own_name() -> None:
    shelf = Shelf()
    enrolled(shelf, Put("l0/e0", template("e0", None, uid="l0", kind="facelist")))
    assert shelf.entries["e0"].template.person_id is None
    enrolled(shelf, Tombstone("l0/e0"))
    assert shelf.entries == {}


WORDS = st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=15)


@given(WORDS, st.integers(1, 5), st.integers(0, 15))
def test_however_it_is_cut_into_batches_and_repeated_the_last_word_stands(
    words: list[tuple[str, bool]], batch: int, repeat_from: int
) -> None:
    changes: list[Change[Any]] = [put(key) if alive else Tombstone(f"p0/{key}") for key, alive in words]
    shelf = Shelf()
    for history in (changes, changes[repeat_from:]):
        for start in range(0, len(history), batch):
            enrolled(shelf, *history[start : start + batch])
    assert set(shelf.entries) == {key for key, alive in dict(words).items() if alive}


def test_a_template_may_be_passed_over_and_its_end_may_not() -> None:
    stage = Enrol(Shelf(), opened)
    assert isinstance(stage, Obliged)
    assert stage.may_pass_over(received(TEMPLATES, put("a")))
    assert not stage.may_pass_over(received(TEMPLATES, Tombstone("p0/a")))
    assert stage.pass_over(None, received(TEMPLATES, put("a")), NOON) == (None, [])
