"""Error rates by level of quality: counted on known comparisons, measured on real photos."""

from collections import Counter

import numpy as np
import pytest

from models.quality import Level
from pipeline.bench.quality import DEGRADATIONS, Comparison, Qualities, Rate, matches, non_matches

DARK = "light times 0.1"
LEVELS_OF_DARK: dict[str, Counter[Level]] = {DARK: Counter(("low", "low"))}


def compared(level: Level, *, accepted: bool, same: bool = True, degradation: str = DARK) -> Comparison:
    return Comparison(degradation, same, accepted, level)


MIXED = [
    compared("low", accepted=False),
    compared("low", accepted=True),
    compared("medium", accepted=False),
    compared("medium", accepted=True),
    compared("high", accepted=True),
    compared("high", accepted=True, same=False),
    compared("low", accepted=False, same=False),
]


def test_rates_count_only_their_own_pairs() -> None:
    assert non_matches(MIXED) == Rate(2, 5)
    assert non_matches(MIXED, "medium") == Rate(1, 3)
    assert non_matches(MIXED, "high") == Rate(0, 1)
    assert matches(MIXED) == Rate(1, 2)


@pytest.mark.parametrize(
    ("comparisons", "sound"),
    [
        (MIXED, True),
        ([], True),
        ([compared("low", accepted=True), compared("high", accepted=False)], False),
        (
            [*MIXED, compared("low", accepted=True, degradation=""), compared("high", accepted=False, degradation="")],
            False,
        ),
    ],
)
def test_a_level_that_spares_no_errors_is_unsound(comparisons: list[Comparison], sound: bool) -> None:
    assert Qualities("retail", LEVELS_OF_DARK, comparisons, 0).sound == sound


def test_the_table_says_what_was_compared() -> None:
    rows = {row.what: row for row in Qualities("retail", LEVELS_OF_DARK, MIXED, 3).rows()}
    assert rows["retail, degraded photos: FNMR"].value == "40.00 % of 5"
    assert rows["retail, degraded photos: FNMR without low"].met
    assert rows["retail, photos as they are: FNMR"].value == "none compared"
    assert rows["retail, light times 0.1: levels, FNMR"].value == "2 low, 0 medium, 0 high; 40.00 % of 5"
    assert rows["retail: degraded faces not found"].value == "3"


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_a_degradation_changes_the_image_and_not_the_original(name: str) -> None:
    image = np.random.default_rng(1).integers(40, 120, (90, 120, 3)).astype(np.uint8)
    before = image.copy()
    worse = DEGRADATIONS[name](image, 40.0)
    assert worse.dtype == np.uint8
    assert worse.shape != image.shape or (worse != image).any()
    np.testing.assert_array_equal(image, before)


def test_a_face_is_small_enough_or_left_as_it_is() -> None:
    image = np.zeros((90, 120, 3), np.uint8)
    smaller = DEGRADATIONS["eyes 20 px apart"]
    assert smaller(image, 40.0).shape == (45, 60, 3)
    assert smaller(image, 15.0).shape == image.shape
