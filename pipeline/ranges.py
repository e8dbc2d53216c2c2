"""Sets of frame numbers stay small as ranges: a day of one camera is half a million numbers, but only a few holes.

A set is a tuple of inclusive ranges `(first, last)`, `0 <= first <= last`, sorted, disjoint and never adjacent, so
that equal sets are equal tuples. Inputs may overlap and stand in any order; outputs are always in that form.
"""

from collections.abc import Iterable

Ranges = tuple[tuple[int, int], ...]


def normal(parts: Iterable[tuple[int, int]]) -> Ranges:
    """The canonical form of any ranges; raises ValueError for one that ends before it begins, or below zero."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(parts):
        if not 0 <= first <= last:
            raise ValueError(f"{first}..{last} is no range of frame numbers")
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return tuple(merged)


def add(ranges: Ranges, number: int) -> Ranges:
    """`ranges`, which are canonical, with one more number."""
    # The next number after the last one is nearly every call, and a ledger may hold thousands of ranges.
    if ranges and number == ranges[-1][1] + 1:
        return (*ranges[:-1], (ranges[-1][0], number))
    if number >= 0 and (not ranges or number > ranges[-1][1]):
        return (*ranges, (number, number))
    return normal((*ranges, (number, number)))


def union(*sets: Iterable[tuple[int, int]]) -> Ranges:
    """Every number that stands in any of `sets`."""
    return normal(part for ranges in sets for part in ranges)


def subtract(ranges: Iterable[tuple[int, int]], removed: Iterable[tuple[int, int]]) -> Ranges:
    """Every number of `ranges` that does not stand in `removed`."""
    left: list[tuple[int, int]] = []
    holes = normal(removed)
    at = 0
    for first, last in normal(ranges):
        # A hole may reach over several ranges, so only those that end before this range are done with.
        while at < len(holes) and holes[at][1] < first:
            at += 1
        begin = first
        for hole_first, hole_last in holes[at:]:
            if hole_first > last:
                break
            if begin < hole_first:
                left.append((begin, hole_first - 1))
            begin = hole_last + 1
        if begin <= last:
            left.append((begin, last))
    return tuple(left)


def count(ranges: Iterable[tuple[int, int]]) -> int:
    """How many numbers stand in `ranges`; one that several ranges name counts once."""
    return sum(last - first + 1 for first, last in normal(ranges))
