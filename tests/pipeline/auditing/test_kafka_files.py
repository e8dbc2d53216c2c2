"""Records under destroyed keys: pending within their bound, overdue behind it, found in whatever state a segment is."""

from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from pipeline.auditing.kafka_files import KafkaFiles
from pipeline.auditing.report import Line, Verdict
from pipeline.changes import Put
from pipeline.erasing.bounds import of_topics
from pipeline.records import AddPerson, DeletePerson
from pipeline.topology import COMMANDS, FRAMES, PERSONS, TEMPLATES, Deployment
from tests.pipeline.erasing.settings_in_force import PLAIN, in_force
from tests.pipeline.examples import NOON, frame, person, seconds, template

from .segment_files import batch, segment

KID = "0123456789abcdef" * 2
BOUND = 600 + 30 + 2.5  # templates, by the settings of the map and of our broker


def audit(data: Path, destroyed: float | None, now: datetime, deployment: Deployment = PLAIN) -> dict[str, Line]:
    when = {} if destroyed is None else {KID: NOON.timestamp() + destroyed}
    return {
        line.subject: line for line in KafkaFiles((data,), deployment, of_topics(PLAIN, in_force())).lines(when, now)
    }


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
    assert living.text == "1 records in 1 segments; none under a destroyed key"


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
