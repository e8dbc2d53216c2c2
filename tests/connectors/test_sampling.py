"""Frames are picked evenly, at the wanted rate, over jitter, gaps and jumps."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sampling import Sampler


def picked(times: list[float], fps: float) -> list[float]:
    sampler = Sampler(fps)
    return [time for time in times if sampler.due(time)]


@pytest.mark.parametrize(
    ("rate", "fps", "wanted"), [(15, 5, 50), (25, 5, 50), (30, 5, 50), (30, 30, 300), (10, 25, 100), (29.97, 1, 10)]
)
def test_ten_seconds_give_ten_times_fps_pictures_or_all_there_are(rate: float, fps: float, wanted: int) -> None:
    assert abs(len(picked([i / rate for i in range(round(10 * rate))], fps)) - wanted) <= 1


@given(st.lists(st.floats(-0.01, 0.01), min_size=300, max_size=300))
def test_jitter_neither_doubles_nor_loses(jitter: list[float]) -> None:
    taken = picked([i / 30 + wobble for i, wobble in enumerate(jitter)], 5)
    assert abs(len(taken) - 50) <= 1
    assert all(0.1 < later - earlier < 0.3 for earlier, later in pairwise(taken))


def test_after_a_gap_the_grid_starts_anew_without_a_burst() -> None:
    assert picked([0.0, 0.1, 9.95, 10.0, 10.1, 10.2], 5) == [0.0, 9.95, 10.1]


def test_after_a_jump_back_pictures_go_on() -> None:
    assert picked([100.0, 100.2, 0.0, 0.1, 0.2], 5) == [100.0, 100.2, 0.0, 0.2]


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_a_rate_that_is_none_is_refused(fps: float) -> None:
    with pytest.raises(ValueError, match="fps"):
        Sampler(fps)
