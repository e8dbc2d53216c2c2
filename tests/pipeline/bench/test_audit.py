"""The independent reader counts what is missing and what came twice, and says who was heard of when."""

from datetime import datetime, timedelta

from pipeline.bench.audit import Audit
from pipeline.changes import Put, Tombstone
from pipeline.codec import Received
from pipeline.records import Identification
from pipeline.topology import FACES, IDENTIFICATIONS, Topic
from tests.pipeline.examples import NOON, face, received, seconds


def told(track: str, revision: int = 0) -> Received:
    value = Identification(
        track_id=track,
        revision=revision,
        camera="door",
        face_id="f0",
        face_expires=NOON,
        captured_at=NOON,
        identified_at=NOON,
        expires=NOON + timedelta(hours=1),
        decision="unknown",
        model="none",
        engine="none",
        threshold=0.5,
    )
    return received(IDENTIFICATIONS, Put(track, value))


def seen(face_id: str, track: str | None, revision: int = 0) -> Received:
    return received(FACES, Put(face_id, face(face_id, track=track, revision=revision)))


def ended(topic: Topic, at: datetime) -> Received:
    return Received(topic, 0, 0, at, Tombstone("f0"))


def audit(*changes: Received) -> Audit:
    found = Audit()
    for change in changes:
        found.take(change)
    return found


def test_a_face_is_missing_until_its_track_is_told_as_new() -> None:
    assert audit(seen("f0", "t0", 1)).unidentified() == 1
    assert audit(seen("f0", "t0", 1), told("t0", 0)).unidentified() == 1
    assert audit(seen("f0", "t0", 1), told("t0", 1)).unidentified() == 0
    assert audit(seen("f0", "t0", 0), told("t0", 1)).unidentified() == 0


def test_faces_of_the_api_are_nobodys_passage() -> None:
    assert audit(seen("f0", None)).unidentified() == 0


def test_the_same_revision_of_a_track_again_is_a_duplicate() -> None:
    assert audit(told("t0"), told("t0", 1), told("t1")).duplicated() == 0
    assert audit(told("t0"), told("t1"), told("t0")).duplicated() == 1


def test_what_a_stage_was_first_heard_of_after_a_moment() -> None:
    heard = audit(ended(FACES, NOON), ended(FACES, NOON + seconds(2)))
    assert heard.first("expire", NOON - seconds(1)) == NOON
    assert heard.first("expire", NOON) == NOON + seconds(2)
    assert heard.first("expire", NOON + seconds(2)) is None
    assert heard.first("identify", NOON) is None


def test_a_face_is_overdue_from_its_end_until_its_tombstone() -> None:
    end = face("f0").expires
    assert audit(seen("f0", "t0")).overdue(end - seconds(1)) == 0
    assert audit(seen("f0", "t0")).overdue(end) == 1
    assert audit(seen("f0", "t0"), ended(FACES, NOON)).overdue(end) == 0
