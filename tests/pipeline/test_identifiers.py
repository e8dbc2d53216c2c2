"""Identifiers are the same for whoever derives them again, and different for whatever differs."""

import uuid

from hypothesis import given
from hypothesis import strategies as st

from pipeline.identifiers import face_id, frame_place, operation_id, track_id
from pipeline.records import FrameId

SECRET = bytes(range(32))
FRAME_IDS = st.builds(FrameId, st.text(max_size=8), st.uuids().map(str), st.integers(0, 1 << 40))
# Short texts with the separator, so that two different pairs would look alike if it were all that parts them.
WORDS = st.text("ab|", max_size=4)


def test_a_replay_finds_the_same_ids() -> None:
    """Pinned: a release that derived otherwise would leave two faces of one frame behind."""
    frame = FrameId("door", "7d8e3c52-6a87-4a3b-9c39-0d9b2f2f5a11", 42)
    assert face_id(SECRET, frame, 0) == "5103350f-0002-41c4-a33f-80adb11a0011"
    assert track_id(SECRET, frame, 0) == "6bc2bd53-c284-4714-a5ac-5cb8fa510fbb"


@given(FRAME_IDS, st.integers(0, 100))
def test_ids_are_uuids(frame: FrameId, index: int) -> None:
    for identifier in (face_id(SECRET, frame, index), track_id(SECRET, frame, index), operation_id("a", str(index))):
        parsed = uuid.UUID(identifier)
        assert (str(parsed), parsed.version) == (identifier, 4)


@given(FRAME_IDS, FRAME_IDS, st.integers(0, 3), st.integers(0, 3))
def test_different_faces_have_different_ids(one: FrameId, other: FrameId, first: int, second: int) -> None:
    same = (one, first) == (other, second)
    assert (face_id(SECRET, one, first) == face_id(SECRET, other, second)) == same
    assert (track_id(SECRET, one, first) == track_id(SECRET, other, second)) == same


@given(FRAME_IDS)
def test_a_face_is_no_track_and_another_secret_is_another_world(frame: FrameId) -> None:
    assert face_id(SECRET, frame, 0) != track_id(SECRET, frame, 0)
    assert face_id(SECRET, frame, 0) != face_id(bytes(32), frame, 0)


@given(st.tuples(WORDS, WORDS), st.tuples(WORDS, WORDS))
def test_nobody_hits_upon_the_request_of_another_principal(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (operation_id(*one) == operation_id(*other)) == (one == other)


@given(FRAME_IDS, FRAME_IDS)
def test_every_frame_has_a_place_of_its_own(one: FrameId, other: FrameId) -> None:
    assert (frame_place(one) == frame_place(other)) == (one == other)
