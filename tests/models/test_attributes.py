"""Attributes in the contract's words, and only those that can be measured."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.attributes import (
    BLUR_EDGES,
    EXPOSURE_EDGES,
    EXPOSURE_LEVELS,
    LEVELS,
    MEASURABLE,
    NOISE_EDGES,
    _level,
    measurable,
    measure,
)
from models.catalogue import load_catalogue
from models.detection import Detection
from models.pack import FaceModels

ABSENT = {"accessories", "glasses", "mask", "occlusion", "smile", "age", "hair", "makeup", "facialHair", "emotion"}


@pytest.fixture(scope="module")
def face(dlib: FaceModels, hopper: NDArray[np.uint8]) -> Detection:
    (found,) = dlib.detect(hopper)
    return found


def test_what_each_pack_measures() -> None:
    packs = {pack.name: measurable(pack) for pack in load_catalogue().packs}
    assert packs["dlib"] == ("blur", "exposure", "noise", "qualityForRecognition"), "it sees no mouth"
    assert packs["retail"] == packs["opencv"] == packs["buffalo_l"] == MEASURABLE
    assert not ABSENT & set(MEASURABLE)


def test_a_good_portrait_in_the_contracts_words(hopper: NDArray[np.uint8], face: Detection) -> None:
    told = msgspec.to_builtins(measure(hopper, face, MEASURABLE))
    assert set(told) == set(MEASURABLE)
    assert set(told["headPose"]) == {"pitch", "roll", "yaw"}
    assert (told["blur"]["blurLevel"], told["exposure"]["exposureLevel"]) == ("low", "goodExposure")
    assert told["noise"]["noiseLevel"] == "low"
    assert told["qualityForRecognition"] == "high"
    assert all(0 <= told[name]["value"] <= 1 for name in ("blur", "exposure", "noise"))


@pytest.mark.parametrize("name", MEASURABLE)
def test_nothing_is_told_that_was_not_asked_for(name: str, hopper: NDArray[np.uint8], face: Detection) -> None:
    assert list(msgspec.to_builtins(measure(hopper, face, [name]))) == [name]
    assert msgspec.to_builtins(measure(hopper, face, [])) == {}


def test_what_nobody_measures_is_never_invented(hopper: NDArray[np.uint8], face: Detection) -> None:
    with pytest.raises(ValueError, match="no pack measures age, glasses"):
        measure(hopper, face, ["blur", "glasses", "age"])


@pytest.mark.parametrize(
    ("names", "edges"), [(LEVELS, BLUR_EDGES), (EXPOSURE_LEVELS, EXPOSURE_EDGES), (LEVELS, NOISE_EDGES)]
)
@given(value=st.floats(0, 1))
def test_an_edge_belongs_to_the_range_above(names: tuple[str, ...], edges: tuple[float, float], value: float) -> None:
    expected = names[0] if value < edges[0] else names[1] if value < edges[1] else names[2]
    assert _level(value, names, edges) == expected
    assert [_level(edge, names, edges) for edge in edges] == list(names[1:])
