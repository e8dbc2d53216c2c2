"""Records under destroyed keys: pending within their bound, overdue behind it, found in whatever state a segment is."""

from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from pipeline.auditing.kafka_files import KafkaFiles
from pipeline.auditing.report import Line, Verdict
from pipeline.auditing.sought import Sought, is_sought
from pipeline.changes import Change, Put, Tombstone
from pipeline.erasing.bounds import of_topics
from pipeline.records import AddPerson, DeletePerson, Erasure, Identification, Membership, Operation
from pipeline.topology import (
    COMMANDS,
    FRAMES,
    IDENTIFICATIONS,
    MEMBERSHIPS,
    OPERATIONS,
    PERSONS,
    TEMPLATES,
    Deployment,
    Topic,
)
from tests.pipeline.erasing.settings_in_force import PLAIN, in_force
from tests.pipeline.examples import NOON, frame, person, seconds, template

from .segment_files import batch, segment

KID = "0123456789abcdef" * 2
PERSON, GROUP = "e2a4c7de-0a2c-4c3b-b0c1-5f2b8e6a9d10", "4c1b1f5e-51a1-4c53-8f5c-6a7c8d9e0f12"
BOUND = 600 + 30 + 2.5  # templates, by the settings of the map and of our broker


def audit(
    data: Path, destroyed: float | None, now: datetime, deployment: Deployment = PLAIN, erased: float | None = None
) -> dict[str, Line]:
    files = KafkaFiles((data,), deployment, of_topics(PLAIN, in_force()))
    return {line.subject: line for line in files.lines(files.searched(sought(destroyed, erased), now), now)}


def sought(destroyed: float | None, erased: float | None) -> Sought:
    """The key and the person that are gone, so many seconds after noon."""
    keys = {} if destroyed is None else {KID: NOON.timestamp() + destroyed}
    return Sought(keys, {} if erased is None else {PERSON: NOON.timestamp() + erased})


@pytest.mark.parametrize("state", ["", ".deleted", ".cleaned", ".swap"])
@pytest.mark.parametrize("compression", [0, 1], ids=["plain", "gzip"])
def test_an_old_record_under_a_destroyed_key_is_found(tmp_path: Path, state: str, compression: int) -> None:
    path = segment(
        tmp_path, "templates", batch(TEMPLATES, Put("p/e", template(kid=KID)), NOON, 7, compression), 7, state
    )
    late = NOON + seconds(10 + BOUND + 1)
    line = audit(tmp_path, 10, late)["templates"]
    assert line.verdict is Verdict.FAIL
    assert f"{path.name} of partition 0, offset 7, key {KID}" in line.text


def test_before_its_bound_it_is_pending_and_a_living_key_is_nothing(tmp_path: Path) -> None:
    segment(tmp_path, "templates", batch(TEMPLATES, Put("p/e", template(kid=KID)), NOON))
    pending = audit(tmp_path, 10, NOON + seconds(10 + BOUND - 1))["templates"]
    assert (pending.verdict, pending.due) == (Verdict.PENDING, NOON + seconds(10 + BOUND))
    living = audit(tmp_path, None, NOON + timedelta(days=9))["templates"]
    assert living.verdict is Verdict.PASS
    assert living.text == "1 records in 1 segments; none under a destroyed key or naming what was erased"


def test_what_only_grows_old_is_due_by_its_own_age(tmp_path: Path) -> None:
    image = frame()
    sealed = type(image.image)(KID, b"nonce", b"ciphertext")
    segment(tmp_path, "frames", batch(FRAMES, Put("door", msgspec.structs.replace(image, image=sealed)), NOON))
    assert audit(tmp_path, 150, NOON + seconds(125))["frames"].verdict is Verdict.PENDING
    assert audit(tmp_path, 120, NOON + seconds(127))["frames"].verdict is Verdict.FAIL


def test_what_is_deleted_once_read_is_due_by_the_destruction(tmp_path: Path) -> None:
    command = DeletePerson(operation_id="o", principal="p", requested_at=NOON, scope="directory", person_id="p")
    added = AddPerson(operation_id="o", principal="p", requested_at=NOON, scope="directory", person=person(kid=KID))
    segment(tmp_path, "commands", batch(COMMANDS, Put("d", added), NOON) + batch(COMMANDS, Put("d", command), NOON, 1))
    deleted = 86_400
    assert audit(tmp_path, deleted, NOON + seconds(deleted + 337))["commands"].verdict is Verdict.PENDING
    assert audit(tmp_path, deleted, NOON + seconds(deleted + 339))["commands"].verdict is Verdict.FAIL


def test_a_topic_that_nobody_knows_is_searched_by_its_bytes(tmp_path: Path) -> None:
    segment(tmp_path, "copy-of-persons", batch(PERSONS, Put("p", person(kid=KID)), NOON))
    assert audit(tmp_path, 0, NOON + seconds(1))["copy-of-persons"].verdict is Verdict.FAIL
    assert "copy-of-persons" not in audit(tmp_path, 0, NOON, Deployment(prefix="north-"))


def test_a_record_that_cannot_be_decoded_is_searched_by_its_bytes(tmp_path: Path) -> None:
    segment(tmp_path, "commands", batch(PERSONS, Put("p", person(kid=KID)), NOON))
    assert audit(tmp_path, 0, NOON + timedelta(days=8))["commands"].verdict is Verdict.FAIL
    assert COMMANDS.name == "commands"


def test_what_cannot_be_read_is_told_and_searched_all_the_same(tmp_path: Path) -> None:
    whole = batch(PERSONS, Put("p", person(kid=KID)), NOON)
    zstd = bytearray(whole)
    zstd[21:23] = (4).to_bytes(2, "big")
    segment(tmp_path, "persons", bytes(zstd))
    assert audit(tmp_path, None, NOON)["persons"].verdict is Verdict.CANNOT_TELL
    assert audit(tmp_path, 0, NOON + timedelta(days=1))["persons"].verdict is Verdict.FAIL


def test_a_partition_that_the_cleaner_has_left_is_told(tmp_path: Path) -> None:
    for base in (0, 5, 9):
        segment(tmp_path, "persons", batch(PERSONS, Put("p", person()), NOON, base), base)
    late = NOON + timedelta(hours=1)
    left = audit(tmp_path, None, late)["persons"]
    assert left.verdict is Verdict.FAIL
    assert "partition 0 has waited 1 h for the cleaner, which promises 5 min 33 s" in left.text
    (tmp_path / "cleaner-offset-checkpoint").write_text("0\n1\npersons 0 9\n")
    assert audit(tmp_path, None, late)["persons"].verdict is Verdict.PASS


def test_where_keys_are(tmp_path: Path) -> None:
    files, other = KafkaFiles((tmp_path,), PLAIN, of_topics(PLAIN, in_force())), "f" * 24 + "01234567"
    assert files.where([KID, other]) == {}
    both = batch(PERSONS, Put("p", person(kid=KID)), NOON) + batch(PERSONS, Put("q", person("q", kid=other)), NOON, 1)
    segment(tmp_path, "persons", both)
    segment(tmp_path, "templates", batch(TEMPLATES, Put("p/e", template(kid=other)), NOON))
    segment(tmp_path, "elsewhere", batch(TEMPLATES, Put("p/e", template(kid=other)), NOON))
    assert files.where([KID, other]) == {"persons": {KID, other}, "templates": {other}}
    assert files.where([KID]) == {"persons": {KID}}


def seen_by_a_camera(person: str | None) -> Identification:
    return Identification(
        track_id="t",
        revision=0,
        camera="door",
        face_id="f",
        face_expires=NOON,
        captured_at=NOON,
        identified_at=NOON,
        expires=NOON,
        decision="unknown" if person is None else "identified",
        model="m",
        engine="e",
        threshold=0.5,
        person_id=person,
        collection=None if person is None else GROUP,
    )


def outcome(**given: object) -> Operation:
    return Operation(operation_id="o", outcome="succeeded", requested=NOON, finished=NOON, **given)  # type: ignore[arg-type]


NAMING = [
    (IDENTIFICATIONS, Put("t", seen_by_a_camera(PERSON))),
    (MEMBERSHIPS, Put(f"{GROUP}/{PERSON}", Membership(collection=GROUP, person_id=PERSON, added=NOON))),
    (OPERATIONS, Put("o", outcome(resource=PERSON))),
    (OPERATIONS, Put("o", outcome(erasure=Erasure(kind="person", subject=PERSON, principal="p", counts={})))),
    (OPERATIONS, Put("o", outcome(code="PersonNotFound", message=f"directory has no person {PERSON}"))),
]


@pytest.mark.parametrize("compression", [0, 1], ids=["plain", "gzip"])
@pytest.mark.parametrize(("topic", "change"), NAMING)
def test_a_record_that_names_an_erased_person_is_pending_until_its_bound_and_then_found(
    tmp_path: Path, topic: Topic, change: Change[object], compression: int
) -> None:
    path = segment(tmp_path, topic.name, batch(topic, change, NOON, 7, compression), 7)
    bound = next(each.seconds for each in of_topics(PLAIN, in_force()) if each.store == topic.name)
    assert bound is not None
    due = NOON + seconds(10 + bound)
    pending = audit(tmp_path, None, due - seconds(1), erased=10)[topic.name]
    assert (pending.verdict, pending.due) == (Verdict.PENDING, due)
    late = audit(tmp_path, None, due + seconds(1), erased=10)[topic.name]
    assert late.verdict is Verdict.FAIL
    assert f"{path.name} of partition 0, offset 7, id {PERSON}" in late.text
    assert audit(tmp_path, None, due + seconds(1))[topic.name].verdict is Verdict.PASS


def test_a_tombstone_that_has_the_id_for_its_key_is_no_leak(tmp_path: Path) -> None:
    told = Tombstone(f"{GROUP}/{PERSON}", cause="e0")
    segment(tmp_path, "memberships", batch(MEMBERSHIPS, told, NOON))
    segment(tmp_path, "persons", batch(PERSONS, Tombstone(PERSON), NOON))
    found = audit(tmp_path, None, NOON + timedelta(days=9), erased=10)
    assert {name: line.verdict for name, line in found.items()} == dict.fromkeys(found, Verdict.PASS)


def test_what_is_still_there_is_told_by_its_ids(tmp_path: Path) -> None:
    segment(tmp_path, "persons", batch(PERSONS, Put("p", person(kid=KID)), NOON))
    segment(tmp_path, "identifications", batch(IDENTIFICATIONS, Put("t", seen_by_a_camera(PERSON)), NOON))
    segment(tmp_path, "gaps", b"")
    files = KafkaFiles((tmp_path,), PLAIN, of_topics(PLAIN, in_force()))
    seen = files.searched(sought(0, 0), NOON + seconds(1))
    waiting = {name: each.waiting for name, each in seen.items()}
    assert waiting == {"persons": {KID}, "identifications": {PERSON}, "gaps": set()}


def test_who_is_named_is_found_where_it_stands(tmp_path: Path) -> None:
    for topic, change in NAMING:
        segment(tmp_path, topic.name, batch(topic, change, NOON))
    files = KafkaFiles((tmp_path,), PLAIN, ())
    assert files.where([PERSON]) == {topic.name: {PERSON} for topic, _ in NAMING}


def test_only_ids_of_the_usual_form_are_searched() -> None:
    assert is_sought(PERSON)
    assert not is_sought("p0")
    assert not is_sought(PERSON.upper())
