"""The pause before the next try: doubling, bounded, never the same for all."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.capture.reconnection import FIRST, LONGEST, pause


def test_it_doubles_up_to_its_bound() -> None:
    almost_one = 1 - 2**-53
    assert [round(pause(failures, almost_one), 3) for failures in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_chance_takes_up_to_half(failures: int, chance: float) -> None:
    assert FIRST / 2 <= pause(failures, chance) <= LONGEST
    assert pause(failures, 0.0) <= pause(failures, chance) < 2 * pause(failures, 0.0) + 1e-9
