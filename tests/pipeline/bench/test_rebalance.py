"""Which names a benchmark takes so that every partition has something to do, and what makes its result unsound."""

from dataclasses import replace

import pytest

from pipeline.balance import Balance
from pipeline.bench.rebalance import Rebalance, one_each
from pipeline.topology import Scale

SOUND = Rebalance(
    visits=(),
    balance=Balance(sampled=10, processed=9, gaps=1),
    faces=2,
    unidentified=0,
    identifications=2,
    duplicated=0,
    unended=0,
    commands=3,
    unanswered=0,
    templates=2,
    unindexed=0,
)


def test_each_partition_gets_the_first_name_that_falls_there() -> None:
    scale = Scale(streams=4)
    names = one_each(4, scale.of_camera, lambda number: f"gate-{number}")
    assert [scale.of_camera(name) for name in names] == [0, 1, 2, 3]
    assert "gate-0" in names


@pytest.mark.parametrize("fault", ["unidentified", "duplicated", "unended", "unanswered", "unindexed"])
def test_one_fault_of_any_kind_is_unsound(fault: str) -> None:
    assert SOUND.sound
    assert not replace(SOUND, **{fault: 1}).sound  # type: ignore[arg-type]


def test_a_frame_that_nothing_accounts_for_is_unsound() -> None:
    assert not replace(SOUND, balance=Balance(sampled=1, unaccounted=1)).sound
