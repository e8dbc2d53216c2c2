"""Offsets that are finished must be committed before long; how long one has waited is told."""

from pipeline.shell.standstill import Standstill


def test_what_is_committed_as_it_is_finished_does_not_stand_still() -> None:
    standstill = Standstill()
    assert standstill.seconds({}, {}, 0.0) == 0
    assert standstill.seconds({0: 5}, {0: 5}, 1.0) == 0
    assert standstill.seconds({0: 7}, {0: 7, 1: 3}, 20.0) == 0


def test_a_commit_that_follows_behind_does_not_stand_still() -> None:
    standstill = Standstill()
    for second in range(30):
        assert standstill.seconds({0: 10 * second + 10}, {0: 10 * second}, float(second)) == 0


def test_an_offset_that_stays_behind_is_told_with_its_age() -> None:
    standstill = Standstill()
    assert standstill.seconds({0: 8, 1: 4}, {0: 5, 1: 4}, 1.0) == 0
    assert standstill.seconds({0: 9, 1: 6}, {0: 5, 1: 5}, 4.0) == 3
    assert standstill.seconds({0: 9, 1: 6}, {0: 5, 1: 5}, 9.0) == 8
    assert standstill.seconds({1: 6}, {0: 5, 1: 5}, 10.0) == 6
    assert standstill.seconds({1: 6}, {1: 6}, 11.0) == 0


def test_a_first_offset_that_is_never_committed_stands_still() -> None:
    standstill = Standstill()
    standstill.seconds({0: 1}, {}, 0.0)
    assert standstill.seconds({0: 1}, {}, 12.0) == 12
    standstill.forget()
    assert standstill.seconds({0: 1}, {}, 13.0) == 0
