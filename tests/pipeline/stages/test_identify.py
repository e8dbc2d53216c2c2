"""The gallery proposes, the live set decides: what is published of a track, and when it is taken back."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.changes import Put, Tombstone
from pipeline.codec import Received, Unusable
from pipeline.galleries import Candidate, Searched
from pipeline.records import Face, Identification, Watch
from pipeline.stages.contract import Emit, Output
from pipeline.stages.identify import Identify, Probe
from pipeline.stages.withdrawal import Known
from pipeline.topology import COLLECTIONS, FACES, GATE, IDENTIFICATIONS, PERSONS, TEMPLATES
from pipeline.views import LiveSet
from tests.pipeline.examples import MODEL, NOON, collection, face, person, received, seconds, template

P0 = Candidate("e0", "p0", "key-of-p0", 0.8)
P1 = Candidate("e1", "p1", "key-of-p1", 0.7)
DAY_LATER = NOON + seconds(86_400)


class Answers:
    """A gallery that answers every probe of a collection alike, and keeps what it was asked."""

    engine = "prepared answers"
    most = 100

    def __init__(self, answers: Mapping[str, list[Candidate]]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, tuple[int, ...], int]] = []

    def search(
        self, where: Searched, probes: NDArray[np.float32], limit: int, among: Collection[str] | None = None
    ) -> list[list[Candidate]]:
        assert (where.kind, where.pack, among) == ("largepersongroup", MODEL, None)
        self.asked.append((where.uid, probes.shape, limit))
        return [self.answers.get(where.uid, [])[:limit] for _ in probes]


def alive() -> LiveSet:
    """u0 has p0 and p1 with a template each, u1 nobody."""
    live = LiveSet()
    for uid, given_id in (("u0", "people"), ("u1", "guests")):
        live.apply_change(COLLECTIONS, Put(uid, collection(uid, given_id)))
    for number in "01":
        live.apply_change(PERSONS, Put(f"p{number}", person(f"p{number}")))
        live.apply_change(TEMPLATES, Put(f"p{number}/e{number}", template(f"e{number}", f"p{number}")))
    return live


def opened(face: Face) -> NDArray[np.float32] | None:
    """Every template is open but that of the face `closed`."""
    return None if face.face_id == "closed" else np.ones(4, np.float32)


def identify(live: LiveSet | None = None, answers: Mapping[str, list[Candidate]] | None = None) -> Identify:
    gallery = Answers({"u0": [P0, P1]} if answers is None else answers)
    return Identify(gallery, alive() if live is None else live, {MODEL: 0.5, "other": 0.9}, opened)


def faces(*of: Face) -> list[Received]:
    return [received(FACES, Put(each.face_id, each), offset) for offset, each in enumerate(of)]


def asked(stage: Identify) -> list[tuple[str, tuple[int, ...], int]]:
    assert isinstance(stage.gallery, Answers)
    return stage.gallery.asked


def told(outputs: Sequence[Output | Unusable]) -> list[Identification | str]:
    """What was published: identifications, and the tracks that were withdrawn; watermarks are not looked at here."""
    words: list[Identification | str] = []
    for output in outputs:
        assert isinstance(output, Emit)
        if output.topic is GATE:
            continue
        assert output.topic is IDENTIFICATIONS
        change = output.change
        words.append(change.value if isinstance(change, Put) else change.key)
    return words


def passed(stage: Identify, *of: Face, state: Known | None = None, now: datetime = NOON) -> tuple[Known, list[Any]]:
    state, outputs = stage.step(stage.begin() if state is None else state, stage.prepare(faces(*of)), now)
    return state, told(outputs)


def probed(stage: Identify, inputs: Sequence[Received]) -> list[Probe]:
    """What a batch without flaws becomes."""
    prepared = stage.prepare(inputs)
    probes = [each for each in prepared if isinstance(each, Probe)]
    assert len(probes) == len(prepared)
    return probes


# --- prepare: what is asked of the gallery ---------------------------------------------------------------------------


def test_one_search_serves_a_batch() -> None:
    stage = identify()
    probes = probed(stage, faces(face("f0"), face("f1", track="t1"), face("f2", track="t2")))
    assert asked(stage) == [("u0", (3, 4), 5)]
    assert [[candidate for _, candidate in probe.proposals] for probe in probes] == [[P0, P1]] * 3


def test_faces_of_the_api_tombstones_and_closed_templates_are_not_probes() -> None:
    stage = identify()
    gone = received(FACES, Tombstone("f9"))
    assert stage.prepare([*faces(face(track=None), face("closed")), gone]) == []
    assert asked(stage) == []


def test_every_watched_collection_that_lives_is_searched_and_no_other() -> None:
    stage = identify(answers={"u0": [P0], "u1": [P1]})
    watch = Watch(collections=("largepersongroup/people", "largepersongroup/guests", "persongroup/people"))
    (probe,) = probed(stage, faces(face(watch=watch)))
    assert sorted(uid for uid, _, _ in asked(stage)) == ["u0", "u1"]
    assert sorted(probe.proposals, key=lambda each: each[0]) == [("u0", P0), ("u1", P1)]


def test_templates_of_different_models_never_meet() -> None:
    stage = identify()
    (probe,) = probed(stage, faces(face(model="other")))
    assert (asked(stage), probe.proposals) == ([], [])


def test_a_face_of_a_model_that_nobody_knows_is_a_dead_letter_and_is_never_opened() -> None:
    stage = identify()
    (flaw,) = stage.prepare(faces(face(model="unheard-of")))
    assert isinstance(flaw, Unusable)
    assert flaw.error == "no such model"


# --- decide: the whole policy ----------------------------------------------------------------------------------------


def test_the_best_live_candidate_is_named() -> None:
    _, (said,) = passed(identify(), face())
    assert said == Identification(
        track_id="t0",
        revision=0,
        camera="door",
        face_id="f0",
        face_expires=face().expires,
        captured_at=NOON,
        identified_at=NOON,
        expires=DAY_LATER,
        decision="identified",
        model=MODEL,
        engine="prepared answers",
        threshold=0.5,
        person_id="p0",
        collection="u0",
        similarity=0.8,
    )


@pytest.mark.parametrize(
    ("candidate", "person_id"),
    [
        (P0, "p0"),
        (Candidate("e0", "p0", "key-of-p0", 0.5), "p0"),
        (Candidate("e0", "p0", "key-of-p0", 0.4999), None),
        (Candidate("e0", "p0", "key-of-p0", float("nan")), None),
        (Candidate("e0", "p0", "key-of-p1", 0.9), None),
        (Candidate("e1", "p0", "key-of-p0", 0.9), None),
        (Candidate("e0", "gone", "key-of-p0", 0.9), None),
    ],
    ids=["good", "at the threshold", "below", "no number", "another key", "another's template", "nobody"],
)
def test_who_is_named(candidate: Candidate, person_id: str | None) -> None:
    _, (said,) = passed(identify(answers={"u0": [candidate]}), face())
    assert (said.person_id, said.decision) == (person_id, "unknown" if person_id is None else "identified")
    assert (said.collection is None) == (person_id is None)


def test_a_stale_proposal_makes_way_for_the_next_best_that_lives() -> None:
    live = alive()
    live.apply_change(PERSONS, Tombstone("p0"))
    _, (said,) = passed(identify(live), face())
    assert (said.person_id, said.similarity) == ("p1", 0.7)


def test_an_unknown_still_says_how_near_the_nearest_was() -> None:
    _, (said,) = passed(identify(answers={"u0": [Candidate("e0", "p0", "key-of-p0", 0.3)]}), face())
    assert (said.decision, said.person_id, said.similarity) == ("unknown", None, 0.3)
    _, (said,) = passed(identify(answers={}), face())
    assert (said.decision, said.similarity) == ("unknown", None)


def test_a_cameras_own_threshold_goes_before_the_models() -> None:
    watch = Watch(collections=("largepersongroup/people",), threshold=0.85)
    _, (said,) = passed(identify(), face(watch=watch))
    assert (said.decision, said.threshold) == ("unknown", 0.85)


def test_who_dies_between_the_search_and_the_step_is_not_named() -> None:
    stage = identify()
    probes = stage.prepare(faces(face()))
    stage.live.apply_change(PERSONS, Tombstone("p0"))
    stage.live.apply_change(TEMPLATES, Tombstone("p1/e1"))
    _, outputs = stage.step(stage.begin(), probes, NOON)
    (said,) = told(outputs)
    assert isinstance(said, Identification)
    assert said.decision == "unknown"


# --- step: one word per track ----------------------------------------------------------------------------------------


def test_a_newer_revision_replaces_and_an_older_one_is_passed_over() -> None:
    stage = identify()
    state, first = passed(stage, face("f1", revision=1))
    state, older = passed(stage, face("f0", revision=0), state=state)
    state, newer = passed(stage, face("f2", revision=2), state=state)
    assert [each.face_id for each in (*first, *older, *newer)] == ["f1", "f2"]
    assert state.passages["t0"].revision == 2


def test_a_face_that_has_ended_says_nothing_any_more() -> None:
    _, said = passed(identify(), face(expires=NOON))
    assert said == []


# --- tick: what is taken back ----------------------------------------------------------------------------------------


def test_an_erased_person_is_taken_back_from_every_track_and_nobody_else_is() -> None:
    stage = identify()
    state, _ = passed(stage, face("f0"), face("f1", track="t1"))
    stage.gallery.answers = {"u0": [P1]}  # type: ignore[attr-defined]
    state, _ = passed(stage, face("f2", track="t2"), state=state)
    stage.live.apply_change(PERSONS, Tombstone("p0"))
    state, outputs, due = stage.tick(state, NOON)
    assert sorted(map(str, told(outputs))) == ["t0", "t1"]
    assert (list(state.passages), due) == (["t2"], DAY_LATER)
    assert told(stage.tick(state, NOON)[1]) == []


def test_an_identification_is_forgotten_at_its_end_and_not_before() -> None:
    stage = identify()
    state, _ = passed(stage, face())
    state, outputs, due = stage.tick(state, DAY_LATER - seconds(1))
    assert (told(outputs), due) == ([], DAY_LATER)
    state, outputs, due = stage.tick(state, DAY_LATER)
    assert (told(outputs), due) == (["t0"], None)
    assert (state.passages, dict(state.by_person)) == ({}, {})


def test_a_newer_revision_lives_its_own_time() -> None:
    stage = identify()
    state, _ = passed(stage, face())
    state, _ = passed(stage, face("f1", revision=1), state=state, now=NOON + seconds(60))
    state, outputs, due = stage.tick(state, DAY_LATER)
    assert (told(outputs), due) == ([], DAY_LATER + seconds(60))
    assert told(stage.tick(state, DAY_LATER + seconds(60))[1]) == ["t0"]


def test_a_track_that_ends_for_two_reasons_is_forgotten_once() -> None:
    stage = identify()
    state, _ = passed(stage, face())
    stage.live.apply_change(PERSONS, Tombstone("p0"))
    assert told(stage.tick(state, DAY_LATER)[1]) == ["t0"]


def test_a_track_whose_person_was_erased_goes_on_as_unknown() -> None:
    stage = identify(answers={"u0": [P0]})
    state, _ = passed(stage, face())
    stage.live.apply_change(PERSONS, Tombstone("p0"))
    state, _, _ = stage.tick(state, NOON)
    state, (said,) = passed(stage, face("f1", revision=1), state=state)
    assert (said.decision, said.revision) == ("unknown", 1)
    assert told(stage.tick(state, NOON)[1]) == []


# --- replay ----------------------------------------------------------------------------------------------------------

FACES_SEEN = st.lists(
    st.tuples(st.sampled_from(["t0", "t1", "t2"]), st.integers(0, 3), st.sampled_from([P0, P1, None])), max_size=12
)


@given(FACES_SEEN, st.booleans())
def test_a_replay_of_what_was_published_finds_the_same_state(
    seen: list[tuple[str, int, Candidate | None]], erase: bool
) -> None:
    stage = identify()
    state, outputs = stage.begin(), list[Output | Unusable]()
    for number, (track, revision, candidate) in enumerate(seen):
        shown = face(f"f{number}", track=track, revision=revision)
        assert shown.shot is not None
        probe = Probe(shown, shown.shot, [] if candidate is None else [("u0", candidate)])
        state, caused = stage.step(state, [probe], NOON + seconds(number))
        outputs += caused
    if erase:
        stage.live.apply_change(PERSONS, Tombstone("p0"))
    state, caused_by_time, _ = stage.tick(state, NOON + seconds(60))
    again = stage.begin()
    for output in [*outputs, *caused_by_time]:
        assert isinstance(output, Emit)
        if output.topic is GATE:
            continue
        again = stage.replay(again, received(IDENTIFICATIONS, output.change))
    assert (again.passages, dict(again.by_person)) == (state.passages, dict(state.by_person))
    assert not erase or "p0" not in again.by_person


def test_what_has_ended_while_nobody_was_there_is_forgotten_at_the_first_tick() -> None:
    stage = identify()
    _, (said,) = passed(stage, face())
    state = stage.replay(stage.begin(), received(IDENTIFICATIONS, Put("t0", said)))
    stage.live.apply_change(PERSONS, Tombstone("p0"))
    assert told(stage.tick(state, NOON)[1]) == ["t0"]
