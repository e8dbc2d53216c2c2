"""Frames become faces, and every frame is accounted for: also after a hole, a reconnection and a crash."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.changes import Put, Tombstone
from pipeline.codec import Received, Unusable
from pipeline.ranges import normal
from pipeline.records import Box, Face, Frame, Gap, Ledger, Recognition
from pipeline.stages.contract import Emit, Output
from pipeline.stages.detect import EARLIER_SESSIONS, Detect, Seen, State, UnseeableError
from pipeline.stages.tracks import Sighting, Thumbnail, TrackPolicy, Vector
from pipeline.topology import DETECT, FACES, FRAMES, GAPS, LEDGER, Topic
from tests.pipeline.examples import BOX, LANDMARKS, NOON, RECOGNITION, frame, received, sealed, seconds

LOST = "not in frames when detect came to it"


@dataclass(frozen=True)
class Passer:
    """Sees one person in every frame of every camera; a scene is a number, a person's template another."""

    flawed: frozenset[int] = frozenset()
    scenes: dict[int, int] = field(default_factory=dict)
    persons: dict[int, int] = field(default_factory=dict)
    qualities: dict[int, float] = field(default_factory=dict)
    recognition: Recognition = RECOGNITION

    def look(self, frame: Frame, appended_at: datetime) -> Seen:
        number = frame.id.sequence
        if number in self.flawed:
            raise UnseeableError("this is no image")
        place = f"{frame.id.camera}/{frame.id.session}/{number}"
        seen = Sighting(
            face_id=f"face {place}",
            track_id=f"track {place}",
            box=BOX,
            landmarks=LANDMARKS,
            quality=self.qualities.get(number, 0.5),
            vector=np.array([self.persons.get(number, 0)], np.float32),
            template=sealed(),
            frame=frame.id,
            captured_at=frame.captured_at,
            expires=appended_at + seconds(frame.watch.face_ttl),
        )
        return Seen(frame, np.full((2, 2, 3), self.scenes.get(number, 0), np.uint8), (seen,))


class Plain:
    """The first box is the first box; another scene is a cut, another number a jump."""

    def pair(self, before: Sequence[Box], now: Sequence[Box]) -> Sequence[tuple[int, int]]:
        return [(index, index) for index in range(min(len(before), len(now)))]

    def is_cut(self, before: Thumbnail, now: Thumbnail) -> bool:
        return not np.array_equal(before, now)

    def is_jump(self, before: Vector, now: Vector) -> bool:
        return not np.array_equal(before, now)


def detect(eye: Passer | None = None) -> Detect:
    return Detect(eye or Passer(), Plain(), TrackPolicy())


def wire(*frames: Frame) -> list[Received]:
    return [received(FRAMES, Put(each.id.camera, each), offset) for offset, each in enumerate(frames)]


def stepped(stage: Detect, state: State, *frames: Frame) -> tuple[State, list[Output | Unusable]]:
    return stage.step(state, stage.prepare(wire(*frames)), NOON)


def emitted(outputs: Sequence[Output | Unusable], topic: Topic) -> list[Any]:
    changes = [output.change for output in outputs if isinstance(output, Emit) and output.topic is topic]
    return [change.value for change in changes if isinstance(change, Put)]


def ledgers(outputs: Sequence[Output | Unusable]) -> dict[tuple[str, str], Any]:
    return {(each.camera, each.session): each.processed for each in emitted(outputs, LEDGER)}


def gaps(outputs: Sequence[Output | Unusable]) -> list[tuple[str, int, int]]:
    return [(each.session, each.first, each.last) for each in emitted(outputs, GAPS)]


def frames(numbers: Sequence[int], *, camera: str = "door", session: str = "s1", first: int = -1) -> list[Frame]:
    """Frames that capture published one after the other; `first` is what it published before the first."""
    before = [first, *numbers]
    return [
        frame(number, previous=previous, camera=camera, session=session)
        for previous, number in zip(before, numbers, strict=False)
    ]


# --- the ledger ------------------------------------------------------------------------------------------------------


def test_the_ledger_says_once_per_step_what_was_processed_so_far() -> None:
    stage = detect()
    state, outputs = stepped(stage, stage.begin(), *frames(range(3)))
    assert emitted(outputs, LEDGER) == [Ledger(camera="door", session="s1", stage="detect", processed=((0, 2),))]
    state, outputs = stepped(stage, state, *frames([3, 6], first=2))
    assert ledgers(outputs) == {("door", "s1"): ((0, 3), (6, 6))}
    assert isinstance(outputs[-1], Emit)
    assert outputs[-1].change.key == "door/s1/detect"


def test_cameras_of_a_partition_do_not_mix() -> None:
    stage = detect()
    door, gate = frames([0, 1]), frames([0, 5], camera="gate")
    _, outputs = stepped(stage, stage.begin(), door[0], gate[0], door[1], gate[1])
    assert ledgers(outputs) == {("door", "s1"): ((0, 1),), ("gate", "s1"): ((0, 0), (5, 5))}
    assert gaps(outputs) == []
    assert len(emitted(outputs, FACES)) == 2


def test_a_reconnection_within_a_step_leaves_both_sessions_accounted_for() -> None:
    stage = detect()
    state, _ = stepped(stage, stage.begin(), *frames([0, 1]))
    state, outputs = stepped(stage, state, *frames([2, 3], first=1), *frames([0, 1], session="s2"))
    assert ledgers(outputs) == {("door", "s1"): ((0, 3),), ("door", "s2"): ((0, 1),)}
    assert gaps(outputs) == []


def test_a_reconnection_begins_new_tracks() -> None:
    stage = detect()
    state, _ = stepped(stage, stage.begin(), *frames([0]))
    state, outputs = stepped(stage, state, *frames([0], session="s2"))
    assert emitted(outputs, FACES) == [], "one sighting in each session confirms nobody"


def test_a_state_that_was_handed_over_is_not_changed() -> None:
    stage = detect()
    state, _ = stepped(stage, stage.begin(), *frames([0]))
    before = dict(state)
    stepped(stage, state, *frames([1], first=0))
    assert state == before


# --- gaps ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "then", "expected"),
    [
        ([], frames([0]), []),
        ([], frames([7], first=-1), []),
        ([], frames([5], first=4), [("s1", 0, 4)]),
        ([0, 1], frames([2], first=1), []),
        ([0, 1], frames([5], first=1), []),
        ([0, 1], frames([5], first=4), [("s1", 2, 4)]),
        ([0, 1], frames([5, 9], first=4), [("s1", 2, 4)]),
        ([0, 1], [*frames([5], first=4), *frames([9], first=8)], [("s1", 2, 4), ("s1", 6, 8)]),
        ([0, 1], frames([0, 1, 2]), []),
        ([0, 1], frames([5], first=4, session="s2"), [("s2", 0, 4)]),
    ],
    ids=[
        "the first frame",
        "the first frame after skipped ones",
        "the first ones are lost",
        "no hole",
        "skipped by capture",
        "lost",
        "lost once",
        "lost twice",
        "delivered again",
        "the first ones of a new session are lost",
    ],
)
def test_holes(seen: list[int], then: list[Frame], expected: list[tuple[str, int, int]]) -> None:
    stage = detect()
    state, outputs = stepped(stage, stage.begin(), *frames(seen))
    assert gaps(outputs) == []
    _, outputs = stepped(stage, state, *then)
    assert gaps(outputs) == expected
    assert all(gap.reason == LOST and gap.camera == "door" for gap in emitted(outputs, GAPS))


def test_a_gap_is_written_before_what_was_found_behind_it() -> None:
    _, outputs = stepped(detect(), {}, *frames([5, 6], first=4))
    topics = [output.topic for output in outputs if isinstance(output, Emit)]
    assert topics == [GAPS, FACES, LEDGER]
    assert isinstance(emitted(outputs, GAPS)[0], Gap)


# --- replay and redelivery -------------------------------------------------------------------------------------------


def replayed(stage: Detect, outputs: Sequence[Output | Unusable]) -> State:
    state = stage.begin()
    for told in emitted(outputs, LEDGER):
        state = stage.replay(state, received(LEDGER, Put(f"{told.camera}/{told.session}/detect", told)))
    return state


def test_a_restart_goes_on_where_the_ledger_ends() -> None:
    stage = detect()
    _, outputs = stepped(stage, stage.begin(), *frames([0, 1, 4]))
    state = replayed(stage, outputs)
    _, outputs = stepped(stage, state, *frames([5], first=4))
    assert (ledgers(outputs), gaps(outputs)) == ({("door", "s1"): ((0, 1), (4, 5))}, [])


def test_what_is_delivered_again_is_neither_lost_nor_counted_twice() -> None:
    stage = detect()
    _, outputs = stepped(stage, stage.begin(), *frames(range(6)))
    _, outputs = stepped(stage, replayed(stage, outputs), *frames([3, 4, 5, 6], first=2))
    assert (ledgers(outputs), gaps(outputs)) == ({("door", "s1"): ((0, 6),)}, [])


def test_a_crash_that_takes_it_back_over_a_reconnection_loses_nothing() -> None:
    stage = detect()
    state, first = stepped(stage, stage.begin(), *frames(range(6)))
    state, second = stepped(stage, state, *frames(range(3), session="s2"))
    state = replayed(stage, [*first, *second])
    state, outputs = stepped(stage, state, *frames([4, 5], first=3))
    assert (ledgers(outputs), gaps(outputs)) == ({("door", "s1"): ((0, 5),)}, [])
    state, outputs = stepped(stage, state, *frames(range(4), session="s2"))
    assert (ledgers(outputs), gaps(outputs)) == ({("door", "s2"): ((0, 3),)}, [])


def test_of_many_sessions_the_newest_are_remembered() -> None:
    stage = detect()
    state = stage.begin()
    for number in range(10):
        state, _ = stepped(stage, state, *frames([0], session=f"s{number}"))
    assert [each.session for each in state["door"]] == [f"s{number}" for number in range(9 - EARLIER_SESSIONS, 10)]


def test_the_ledger_of_capture_and_tombstones_teach_nothing() -> None:
    stage = detect()
    told = Ledger(camera="door", session="s1", stage="capture", sampled=9, processed=((0, 8),))
    assert stage.replay(stage.begin(), received(LEDGER, Put("door/s1/capture", told))) == {}
    assert stage.replay(stage.begin(), received(LEDGER, Tombstone("door/s1/detect"))) == {}
    empty = Ledger(camera="door", session="s1", stage="detect")
    state = stage.replay(stage.begin(), received(LEDGER, Put("door/s1/detect", empty)))
    assert gaps(stepped(stage, state, *frames([0]))[1]) == []


LIVES = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 6), st.booleans()), max_size=12)


@given(LIVES)
@settings(max_examples=60)
def test_whatever_crashes_every_frame_is_processed_and_no_gap_is_invented(lives: list[tuple[int, int, bool]]) -> None:
    """Batches of some frames, each perhaps followed by a crash that goes some frames back; two sessions, no loss."""
    stage = detect()
    stream = [*frames(range(10)), *frames(range(10), session="s2")]
    state, at, told = stage.begin(), 0, list[Output | Unusable]()
    for batch, back, crash in [*lives, *[(4, 0, False)] * 8]:
        state, outputs = stepped(stage, state, *stream[at : at + batch])
        told += outputs
        at = min(at + batch, len(stream))
        if crash:
            state, at = replayed(stage, told), max(0, at - back)
    assert gaps(told) == []
    assert ledgers(told) == {("door", "s1"): ((0, 9),), ("door", "s2"): ((0, 9),)}
    assert all(normal(each.processed) == each.processed for each in emitted(told, LEDGER))


# --- frames that cannot be seen --------------------------------------------------------------------------------------


def test_a_frame_that_cannot_be_seen_is_a_dead_letter_that_names_it() -> None:
    stage = detect(Passer(flawed=frozenset({1})))
    _, outputs = stepped(stage, stage.begin(), *frames([0, 1]))
    assert [each for each in outputs if isinstance(each, Unusable)] == [
        Unusable(FRAMES, 0, 1, "this is no image", frame=frame(1).id)
    ]
    assert ledgers(outputs) == {("door", "s1"): ((0, 0),)}


def test_a_step_of_nothing_but_flaws_says_nothing_of_the_ledger() -> None:
    stage = detect(Passer(flawed=frozenset({0})))
    _, outputs = stepped(stage, stage.begin(), *frames([0]))
    assert [type(each) for each in outputs] == [Unusable]


def test_a_dead_letter_is_accounted_for_and_no_gap() -> None:
    stage = detect(Passer(flawed=frozenset({1})))
    _, outputs = stepped(stage, stage.begin(), *frames([0, 1, 2]))
    assert not [each for each in outputs if isinstance(each, Emit) and each.topic is GAPS]


def test_a_tombstone_among_the_frames_is_nothing_to_look_at() -> None:
    assert detect().prepare([received(FRAMES, Tombstone("door"))]) == []


# --- faces -----------------------------------------------------------------------------------------------------------


def test_a_face_carries_its_best_shot_its_track_and_what_its_camera_watches() -> None:
    stage = detect(Passer(qualities={0: 0.9, 1: 0.4}))
    _, outputs = stepped(stage, stage.begin(), *frames([0, 1]))
    (told,) = emitted(outputs, FACES)
    assert isinstance(told, Face)
    assert told.shot is not None
    assert (told.face_id, told.shot.track_id) == ("face door/s1/0", "track door/s1/0")
    assert (told.shot.frame, told.shot.revision, told.shot.watch) == (frame(0).id, 0, frame(0).watch)
    assert (told.captured_at, told.expires) == (frame(0).captured_at, NOON + seconds(600))
    assert (told.recognition, told.quality, told.box, told.landmarks) == (RECOGNITION, 0.9, BOX, LANDMARKS)
    assert [output.change.key for output in outputs if isinstance(output, Emit) and output.topic is FACES] == [
        "face door/s1/0"
    ]


def test_a_better_shot_is_a_new_face_of_the_same_track() -> None:
    stage = detect(Passer(qualities={3: 0.8}))
    _, outputs = stepped(stage, stage.begin(), *frames(range(5)))
    assert [(each.face_id, each.shot.track_id, each.shot.revision) for each in emitted(outputs, FACES)] == [
        ("face door/s1/0", "track door/s1/0", 0),
        ("face door/s1/3", "track door/s1/0", 1),
    ]


@pytest.mark.parametrize("break_", ["scenes", "persons"])
def test_a_cut_or_a_jump_begins_a_new_track(break_: str) -> None:
    stage = detect(Passer(**{break_: {2: 7, 3: 7}}))  # type: ignore[arg-type]
    _, outputs = stepped(stage, stage.begin(), *frames(range(4)))
    assert [each.shot.track_id for each in emitted(outputs, FACES)] == ["track door/s1/0", "track door/s1/2"]


def test_tracks_go_on_from_step_to_step_and_end_with_a_crash() -> None:
    stage = detect()
    state, first = stepped(stage, stage.begin(), *frames([0]))
    _, outputs = stepped(stage, state, *frames([1], first=0))
    assert [each.shot.track_id for each in emitted(outputs, FACES)] == ["track door/s1/0"]
    _, outputs = stepped(stage, replayed(stage, first), *frames([1, 2], first=0))
    assert [each.shot.track_id for each in emitted(outputs, FACES)] == ["track door/s1/1"]


def test_it_is_the_stage_of_the_map() -> None:
    assert detect().node is DETECT
