"""A track may be split, two persons are never joined, and best shots only get better."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.records import Box
from pipeline.stages.tracks import Sighting, Thumbnail, Track, TrackPolicy, Vector, advance
from tests.pipeline.examples import LANDMARKS, NOON, frame, sealed, seconds

Pairing = Callable[[int, int], Sequence[tuple[int, int]]]


@dataclass(frozen=True)
class Oracle:
    """Pairs boxes as it is told, and knows from a template whose it is: its first number is the person's."""

    pairing: Pairing

    def pair(self, before: Sequence[Box], now: Sequence[Box]) -> Sequence[tuple[int, int]]:
        return self.pairing(len(before), len(now))

    def is_cut(self, before: Thumbnail, now: Thumbnail) -> bool:
        return False

    def is_jump(self, before: Vector, now: Vector) -> bool:
        return whose(before) != whose(now)


def whose(vector: Vector) -> int:
    return int(vector[0])


def in_order(before: int, now: int) -> Sequence[tuple[int, int]]:
    return [(index, index) for index in range(min(before, now))]


def sighting(
    number: int, index: int = 0, *, person: int = 0, quality: float = 0.5, at: float | None = None
) -> Sighting:
    return Sighting(
        face_id=f"f{number}/{index}",
        track_id=f"t{number}/{index}",
        box=Box(index * 100, 0, 80, 80),
        landmarks=LANDMARKS,
        quality=quality,
        vector=np.array([person], np.float32),
        template=sealed(),
        frame=frame(number).id,
        captured_at=NOON + seconds(number / 10 if at is None else at),
        expires=NOON + seconds(600),
    )


POLICY = TrackPolicy(confirm_after=2, gap=seconds(1), better_by=0.15)


def watched(
    *frames: Sequence[Sighting], cuts: Sequence[int] = (), pairing: Pairing = in_order, policy: TrackPolicy = POLICY
) -> tuple[list[tuple[Track, ...]], list[list[Track]]]:
    """The tracks after each frame, and those due."""
    tracks: tuple[Track, ...] = ()
    histories, published = [], []
    for number, sightings in enumerate(frames):
        now = sightings[0].captured_at if sightings else NOON + seconds(number / 10)
        tracks, due = advance(tracks, sightings, now, cut=number in cuts, continuity=Oracle(pairing), policy=policy)
        histories.append(tracks)
        published.append(due)
    return histories, published


def ids(tracks: Sequence[Track]) -> list[str]:
    return [track.track_id for track in tracks]


def test_a_passage_is_one_track_and_published_once_confirmed() -> None:
    histories, published = watched(*([sighting(number)] for number in range(4)))
    assert [ids(tracks) for tracks in histories] == [["t0/0"]] * 4
    assert [ids(due) for due in published] == [[], ["t0/0"], [], []]
    assert histories[-1][0].sightings == 4


def test_one_glance_is_enough_where_the_policy_says_so() -> None:
    _, published = watched([sighting(0)], policy=TrackPolicy(confirm_after=1))
    assert [(track.track_id, track.revision) for track in published[0]] == [("t0/0", 0)]


def test_the_best_shot_so_far_is_the_one_that_is_published() -> None:
    _, published = watched([sighting(0, quality=0.9)], [sighting(1, quality=0.2)])
    assert published[1][0].best.face_id == "f0/0"
    assert published[1][0].latest.face_id == "f1/0"


@pytest.mark.parametrize(("quality", "again"), [(0.57, False), (0.58, True)])
def test_a_shot_must_be_better_by_a_share_to_be_published_again(quality: float, again: bool) -> None:
    _, published = watched([sighting(0)], [sighting(1)], [sighting(2, quality=quality)])
    assert [track.revision for track in published[2]] == ([1] if again else [])


def test_small_steps_add_up_to_a_better_shot() -> None:
    _, published = watched([sighting(0)], *([sighting(n, quality=0.5 + n / 50)] for n in range(1, 8)))
    assert [track.revision for due in published for track in due] == [0, 1]
    assert published[5][0].published == pytest.approx(0.6)


def test_a_hard_cut_ends_every_track_though_the_boxes_stay() -> None:
    histories, _ = watched(
        [sighting(0), sighting(0, 1)], [sighting(1), sighting(1, 1)], [sighting(2), sighting(2, 1)], cuts=[2]
    )
    assert ids(histories[2]) == ["t2/0", "t2/1"]


def test_a_template_that_jumps_ends_its_track_and_no_other() -> None:
    histories, _ = watched(
        [sighting(0, person=1), sighting(0, 1, person=2)],
        [sighting(1, person=3), sighting(1, 1, person=2)],
    )
    assert sorted(ids(histories[1])) == ["t0/1", "t1/0"]


def test_whoever_looks_away_for_less_than_the_gap_comes_back_to_the_track() -> None:
    histories, _ = watched([sighting(0)], [], [sighting(2, at=1.0)])
    assert [ids(tracks) for tracks in histories] == [["t0/0"]] * 3


def test_after_the_gap_it_is_another_passage() -> None:
    histories, _ = watched([sighting(0)], [sighting(1, at=1.001)])
    assert ids(histories[1]) == ["t1/0"]


def test_nothing_seen_is_nothing_tracked() -> None:
    assert watched([], []) == ([(), ()], [[], []])


@st.composite
def crowds(draw: st.DrawFn) -> tuple[list[list[Sighting]], set[int]]:
    """Frames of up to three persons at random places and times, and the frames that begin a new scene."""
    frames, at = [], 0.0
    for number in range(draw(st.integers(1, 12))):
        at += draw(st.sampled_from([0.1, 0.5, 1.5]))
        persons = draw(st.permutations(range(3)))[: draw(st.integers(0, 3))]
        qualities = st.floats(0, 1, allow_subnormal=False)
        frames.append(
            [
                sighting(number, index, person=person, quality=draw(qualities), at=at)
                for index, person in enumerate(persons)
            ]
        )
    return frames, draw(st.sets(st.integers(0, 11), max_size=3))


@given(crowds(), st.data())
@settings(max_examples=60, deadline=None)
def test_two_persons_are_never_joined_however_their_boxes_are_paired(
    crowd: tuple[list[list[Sighting]], set[int]], data: st.DataObject
) -> None:
    frames, cuts = crowd

    def at_random(before: int, now: int) -> Sequence[tuple[int, int]]:
        ours = data.draw(st.permutations(range(before)))
        theirs = data.draw(st.permutations(range(now)))
        return list(zip(ours, theirs, strict=False))[: data.draw(st.integers(0, 3))]

    histories, published = watched(*frames, cuts=sorted(cuts), pairing=at_random)
    persons = {each.track_id: whose(each.vector) for sightings in frames for each in sightings}
    seen: dict[str, list[Track]] = {}
    for number, (tracks, due) in enumerate(zip(histories, published, strict=True)):
        assert len(set(ids(tracks))) == len(tracks)
        for track in tracks:
            assert whose(track.latest.vector) == whose(track.best.vector) == persons[track.track_id]
            assert track.best.quality >= track.latest.quality
            began = int(track.track_id[1:].partition("/")[0])
            assert not any(began < cut <= number for cut in cuts), "a track outlived a cut"
        # Every sighting of a frame is the newest of exactly one track.
        newest = [track.latest.face_id for track in tracks if track.latest.frame.sequence == number]
        assert sorted(newest) == sorted(each.face_id for each in frames[number])
        for track in due:
            seen.setdefault(track.track_id, []).append(track)
    for shots in seen.values():
        assert [shot.revision for shot in shots] == list(range(len(shots)))
        assert all(shot.published == shot.best.quality for shot in shots)
        qualities = [shot.best.quality for shot in shots]
        assert all(later > earlier * (1 + POLICY.better_by) for earlier, later in itertools.pairwise(qualities))
        assert all(shot.sightings >= POLICY.confirm_after for shot in shots)
