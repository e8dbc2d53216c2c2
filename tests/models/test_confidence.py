"""Confidence: one scale for all models, 0.5 at each one's threshold, and back again."""

from math import inf

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from models import ModelError
from models.catalogue import Pack, load_catalogue
from models.confidence import Calibration, calibration

PACKS = load_catalogue().packs


@st.composite
def calibrations(draw: st.DrawFn) -> Calibration:
    """Marks that are further apart than any two models': 0.01 and more."""
    strangers = draw(st.floats(-0.99, 0.97))
    return Calibration(draw(st.floats(strangers + 0.01, 0.99)), strangers)


any_marks = st.one_of(st.sampled_from([calibration(pack) for pack in PACKS]), calibrations())
similarities = st.floats(-3, 1)


@given(any_marks, similarities, similarities)
def test_confidence_never_falls_with_similarity(marks: Calibration, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0 <= marks.confidence(low) <= marks.confidence(high) <= 1
    if marks.strangers < low and high - low > 1e-6:
        assert marks.confidence(low) < marks.confidence(high)


@given(any_marks)
def test_the_three_marks_are_exact(marks: Calibration) -> None:
    assert marks.confidence(marks.strangers) == 0
    assert marks.confidence(marks.threshold) == 0.5
    assert marks.confidence(1.0) == 1
    assert marks.similarity(0.5) == marks.threshold
    assert marks.similarity(1.0) == 1


@given(any_marks, similarities)
def test_half_a_confidence_and_more_is_what_the_threshold_calls_one_person(
    marks: Calibration, similarity: float
) -> None:
    assert (marks.confidence(similarity) > 0.5) <= (similarity >= marks.threshold)
    assert (similarity >= marks.threshold) <= (marks.confidence(similarity) >= 0.5)


@given(any_marks, st.floats(1e-6, 1))
def test_a_confidence_leads_back_to_itself(marks: Calibration, confidence: float) -> None:
    assert marks.confidence(marks.similarity(confidence)) == pytest.approx(confidence, abs=1e-9)


@given(any_marks, st.floats(-1, 1))
def test_a_similarity_leads_back_to_itself(marks: Calibration, similarity: float) -> None:
    assume(similarity > marks.strangers + 1e-6)
    assert marks.similarity(marks.confidence(similarity)) == pytest.approx(similarity, abs=1e-9)


@given(any_marks, st.floats(0, 1), st.floats(0, 1))
def test_the_way_back_never_falls_either(marks: Calibration, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert marks.similarity(low) <= marks.similarity(high) <= 1


def test_no_confidence_at_all_is_asked_of_nobody() -> None:
    assert calibration(PACKS[0]).similarity(0) == -inf


@pytest.mark.parametrize("confidence", [-0.1, 1.1, float("nan")])
def test_a_confidence_out_of_range_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match=r"not in 0\.\.1"):
        calibration(PACKS[0]).similarity(confidence)


@pytest.mark.parametrize("pack", PACKS, ids=lambda pack: pack.name)
def test_an_operators_threshold_takes_the_place_of_the_packs(pack: Pack) -> None:
    assert calibration(pack).confidence(pack.threshold) == 0.5
    assert calibration(pack, 0.6).confidence(0.6) == 0.5
    assert calibration(pack, 0.6).confidence(pack.strangers) == 0


@pytest.mark.parametrize("threshold", [-1.0, 0.0, 1.0, float("nan")])
def test_a_threshold_that_tells_nobody_apart_is_refused_in_one_line(threshold: float) -> None:
    with pytest.raises(ModelError, match=r"the threshold .* choose one between 0\.01") as caught:
        Calibration(threshold, 0.01)
    assert "\n" not in str(caught.value)
