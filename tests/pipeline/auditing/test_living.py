"""Topics that have no canary are controlled by somebody who lives; where nobody does, nothing is claimed."""

from pathlib import Path

import msgspec

from pipeline.auditing import living
from pipeline.auditing.kafka_files import KafkaFiles
from pipeline.auditing.report import Verdict
from pipeline.changes import Put
from pipeline.identifiers import membership_key
from pipeline.records import DIRECTORY, Identification, Membership
from pipeline.topology import COLLECTIONS, IDENTIFICATIONS, MEMBERSHIPS, PERSONS
from pipeline.views import LiveSet
from tests.pipeline.erasing.settings_in_force import PLAIN
from tests.pipeline.examples import NOON, collection, person, seconds

from .segment_files import batch, segment

PERSON, OTHER = "e2a4c7de-0a2c-4c3b-b0c1-5f2b8e6a9d10", "e3a4c7de-0a2c-4c3b-b0c1-5f2b8e6a9d10"
JOINED = Membership(collection="g", person_id=PERSON, added=NOON)


def passage(track: str, person_id: str | None, after: float = 0) -> Identification:
    return Identification(
        track_id=track,
        revision=0,
        camera="door",
        face_id="f",
        face_expires=NOON,
        captured_at=NOON + seconds(after),
        identified_at=NOON,
        expires=NOON,
        decision="unknown" if person_id is None else "identified",
        model="m",
        engine="e",
        threshold=0.5,
        person_id=person_id,
    )


def live(*members: str) -> LiveSet:
    """Somebody lives in the directory; a group has these members."""
    found = LiveSet()
    found.apply_change(PERSONS, Put(PERSON, person(PERSON, uid=DIRECTORY)))
    found.apply_change(COLLECTIONS, Put("g", collection("g", "guests", kind="dynamicpersongroup")))
    for member in members:
        joined = msgspec.structs.replace(JOINED, person_id=member)
        found.apply_change(MEMBERSHIPS, Put(membership_key("g", member), joined))
    return found


async def verdicts(data: Path, someone: LiveSet, *told: Identification) -> dict[str, Verdict]:
    async def everything() -> list[Identification]:
        return list(told)

    files = KafkaFiles((data,), PLAIN, ())
    found = living.lines(files, living.pickers(someone, everything))
    return {line.subject: line.verdict async for line in found}


async def test_somebody_who_lives_is_found_where_she_is_named(tmp_path: Path) -> None:
    segment(tmp_path, "memberships", batch(MEMBERSHIPS, Put(membership_key("g", PERSON), JOINED), NOON))
    segment(tmp_path, "identifications", batch(IDENTIFICATIONS, Put("t", passage("t", PERSON)), NOON))
    # Newer are one who was erased, and one whom nobody knows.
    told = [passage("t", PERSON), passage("u", OTHER, 1), passage("v", None, 2)]
    assert await verdicts(tmp_path, live(PERSON), *told) == {
        "memberships": Verdict.PASS,
        "identifications": Verdict.PASS,
    }


async def test_who_is_named_and_not_found_shows_that_the_audit_is_blind(tmp_path: Path) -> None:
    segment(tmp_path, "memberships", batch(MEMBERSHIPS, Put("g/x", JOINED), NOON)[:40])
    assert await verdicts(tmp_path, live(PERSON), passage("t", PERSON)) == {
        "memberships": Verdict.BLIND,
        "identifications": Verdict.BLIND,
    }


async def test_where_nobody_lives_who_could_be_looked_for_nothing_can_be_told(tmp_path: Path) -> None:
    assert await verdicts(tmp_path, live(), passage("u", OTHER), passage("v", None)) == {
        "memberships": Verdict.CANNOT_TELL,
        "identifications": Verdict.CANNOT_TELL,
    }
