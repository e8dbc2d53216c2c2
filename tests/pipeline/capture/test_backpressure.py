"""When a camera holds back: limits are times, so they fit a quiet partition and a busy one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.capture.backpressure import ALL_LEAST, ALL_SECONDS, Backlog, Policy, Pressure


@pytest.mark.parametrize("policy", ["latest", "all"])
def test_nothing_is_held_back_before_the_first_reading(policy: Policy) -> None:
    assert not Pressure(policy, 5.0).full


def test_latest_allows_two_seconds_of_this_camera() -> None:
    pressure = Pressure("latest", 5.0)
    pressure.observe(Backlog(end=110, done=100), 0.0)
    assert (pressure.limit, pressure.full) == (10, False)
    pressure.acknowledged()
    assert pressure.full


def test_latest_allows_four_frames_to_a_slow_camera() -> None:
    assert Pressure("latest", 0.2).limit == 4


def test_neighbours_on_the_partition_do_not_make_a_camera_skip() -> None:
    pressure = Pressure("latest", 5.0)
    for second in range(5):  # four cameras of 5 fps, and a group that commits once a second
        pressure.observe(Backlog(end=20 * (second + 1), done=20 * second), float(second))
    assert not pressure.full
    pressure.observe(Backlog(end=120, done=60), 5.0)
    assert pressure.full


def test_a_new_reading_replaces_what_was_acknowledged_since_the_last() -> None:
    pressure = Pressure("latest", 5.0)
    pressure.observe(Backlog(end=0, done=0), 0.0)
    for _ in range(11):
        pressure.acknowledged()
    assert pressure.full
    pressure.observe(Backlog(end=11, done=8), 0.5)
    assert pressure.lag == 3


def test_all_lets_wait_what_the_group_does_in_ten_seconds() -> None:
    pressure = Pressure("all", 5.0)
    pressure.observe(Backlog(end=16, done=0), 0.0)
    assert (pressure.limit, pressure.full) == (ALL_LEAST, True)
    pressure.observe(Backlog(end=216, done=200), 5.0)
    assert (pressure.limit, pressure.full) == (200, False)


def test_a_group_that_stands_still_slows_all_down_again() -> None:
    pressure = Pressure("all", 5.0)
    pressure.observe(Backlog(end=200, done=0), 0.0)
    for second in range(1, 13):
        pressure.observe(Backlog(end=300, done=200), float(second))
    assert (pressure.limit, pressure.full) == (ALL_LEAST, True)


def test_offsets_that_go_back_are_a_new_beginning() -> None:
    pressure = Pressure("all", 5.0)
    pressure.observe(Backlog(end=1000, done=900), 0.0)
    pressure.observe(Backlog(end=1000, done=990), 1.0)
    pressure.observe(Backlog(end=10, done=0), 2.0)
    assert (pressure.lag, pressure.limit) == (10, ALL_LEAST)


@given(st.floats(0.1, 60), st.lists(st.tuples(st.floats(0.01, 3), st.integers(0, 100), st.integers(0, 100))))
def test_the_queue_stays_bounded_by_what_the_group_can_do(fps: float, readings: list[tuple[float, int, int]]) -> None:
    live, patient = Pressure("latest", fps), Pressure("all", fps)
    at, end, done, most = 0.0, 0, 0, 0
    for step, arrived, processed in readings:
        at, end = at + step, end + arrived
        done = min(end, done + processed)
        most = max(most, done)
        for pressure in (live, patient):
            pressure.observe(Backlog(end=end, done=done), at)
            assert pressure.lag == end - done
        assert ALL_LEAST <= patient.limit <= max(ALL_LEAST, most)
        assert live.limit >= max(4, 2 * fps)
    assert ALL_SECONDS < 60  # the life of a frame on its topic
