"""A table is the last word per key, and whoever keeps an index beside it hears of every value that leaves."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.changes import Change, Put, Tombstone, applied

KEYS = st.sampled_from("abc")
CHANGES = st.lists(st.builds(Put, KEYS, st.integers()) | st.builds(Tombstone, KEYS), max_size=30)


@given(CHANGES)
def test_the_last_word_of_every_key_stands(changes: list[Change[int]]) -> None:
    table: dict[str, int] = {}
    for change in changes:
        applied(table, change)
    last = {change.key: change for change in changes}
    assert table == {key: change.value for key, change in last.items() if isinstance(change, Put)}


@given(CHANGES)
def test_every_value_that_was_put_is_either_there_or_was_forgotten(changes: list[Change[int]]) -> None:
    table: dict[str, int] = {}
    forgotten: list[int] = []
    for change in changes:
        applied(table, change, forgotten=forgotten.append)
    put = [change.value for change in changes if isinstance(change, Put)]
    assert sorted([*table.values(), *forgotten]) == sorted(put)


def test_the_index_hears_of_the_old_value_before_the_new_one_stands() -> None:
    table = {"a": 0}
    seen: list[tuple[int, bool]] = []
    applied(table, Put("a", 1), forgotten=lambda old: seen.append((old, "a" in table)))
    assert seen == [(0, False)]
    assert table == {"a": 1}


def test_forgetting_what_is_not_there_is_nothing() -> None:
    table: dict[str, int] = {}
    forgotten: list[int] = []
    applied(table, Tombstone("a"), forgotten=forgotten.append)
    assert (table, forgotten) == ({}, [])
