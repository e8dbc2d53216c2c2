"""Ranges are judged against what they stand for: plain sets of numbers."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ranges import Ranges, add, count, normal, subtract, union

SPANS = st.tuples(st.integers(0, 60), st.integers(0, 8)).map(lambda span: (span[0], span[0] + span[1]))
PARTS = st.lists(SPANS, max_size=12)


def numbers(ranges: list[tuple[int, int]] | Ranges) -> set[int]:
    return {number for first, last in ranges for number in range(first, last + 1)}


def is_canonical(ranges: Ranges) -> bool:
    neighbours = itertools.pairwise(ranges)
    return all(first <= last for first, last in ranges) and all(a[1] + 1 < b[0] for a, b in neighbours)


@given(PARTS)
def test_canonical_form_keeps_every_number_and_is_unique(parts: list[tuple[int, int]]) -> None:
    form = normal(parts)
    assert numbers(form) == numbers(parts)
    assert is_canonical(form)
    assert normal((number, number) for number in numbers(parts)) == form


@given(PARTS, st.integers(0, 80))
def test_adding_a_number(parts: list[tuple[int, int]], number: int) -> None:
    grown = add(normal(parts), number)
    assert numbers(grown) == numbers(parts) | {number}
    assert is_canonical(grown)


@given(PARTS, PARTS)
def test_union_and_difference_are_those_of_sets(left: list[tuple[int, int]], right: list[tuple[int, int]]) -> None:
    together, rest = union(left, right), subtract(left, right)
    assert numbers(together) == numbers(left) | numbers(right)
    assert numbers(rest) == numbers(left) - numbers(right)
    assert is_canonical(together)
    assert is_canonical(rest)


@given(PARTS)
def test_a_number_that_two_ranges_name_counts_once(parts: list[tuple[int, int]]) -> None:
    assert count(parts) == len(numbers(parts))


def test_nothing_is_a_set_too() -> None:
    assert normal(()) == union() == subtract((), ((0, 9),)) == ()
    assert count(()) == 0
    assert add((), 3) == ((3, 3),)


@pytest.mark.parametrize("wrong", [(3, 2), (-1, 4)])
def test_what_is_no_range_is_refused(wrong: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="no range of frame numbers"):
        normal([wrong])


def test_a_negative_number_is_refused() -> None:
    with pytest.raises(ValueError, match="no range of frame numbers"):
        add((), -1)
