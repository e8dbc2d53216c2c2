"""A step's outputs become records in their order and place, and keys that die before any of them is seen."""

from collections.abc import Iterable
from datetime import datetime

import msgspec
import pytest

from pipeline.changes import Put, Tombstone
from pipeline.codec import SCHEMA_HEADER, Unusable, decode, receive
from pipeline.contract import FORGOTTEN_TYPE, TYPE
from pipeline.records import DeadLetter, Gap, Identification, Watch
from pipeline.shell.outbox import Outbox, dead_letter, outbox
from pipeline.stages.contract import DestroyExpiredKeys, DestroyKeys, Emit, Output
from pipeline.topology import (
    DEAD_LETTERS,
    FACES,
    FRAMES,
    GAPS,
    IDENTIFICATIONS,
    PERSONS,
    TEMPLATES,
    TOPICS,
    Deployment,
    Scale,
    Topic,
)
from tests.pipeline.examples import NOON, face, frame, person, seconds

SMALL = Deployment(prefix="north-")
FLEET = Deployment(Scale(streams=32, tables=8))
TOLD = Identification(
    track_id="t0",
    revision=1,
    camera="door",
    face_id="f0",
    face_expires=NOON,
    captured_at=NOON,
    identified_at=NOON,
    expires=NOON,
    decision="unknown",
    model="sface",
    engine="exact",
    threshold=0.4,
)


class Shredder:
    """Keeps what it was asked to destroy, in order."""

    def __init__(self) -> None:
        self.asked: list[set[str] | datetime] = []

    def destroy(self, kids: Iterable[str]) -> None:
        self.asked.append(set(kids))

    def destroy_expired(self, now: datetime) -> int:
        self.asked.append(now)
        return 0


def letters(box: Outbox) -> list[DeadLetter]:
    changes = [
        decode(DEAD_LETTERS, each.wire.key, each.wire.value, each.wire.headers)
        for each in box.records
        if each.topic == DEAD_LETTERS.name
    ]
    return [change.value for change in changes if isinstance(change, Put)]


def test_records_keep_their_order_and_their_partition() -> None:
    outputs = [Emit(FACES, Put("f0", face())), Emit(FACES, Tombstone("f1")), Emit(FACES, Put("f2", face("f2")))]
    box = outbox(SMALL, 3, outputs, NOON)
    assert [(each.topic, each.partition, each.wire.key) for each in box.records] == [
        ("north-faces", 3, b"f0"),
        ("north-faces", 3, b"f1"),
        ("north-faces", 3, b"f2"),
    ]
    assert (box.kids, box.expired_at, box.dead_letters, list(box.told)) == ((), None, 0, [])


@pytest.mark.parametrize("partition", [0, 7, 8, 31])
def test_what_leaves_a_stream_for_a_table_still_finds_a_partition(partition: int) -> None:
    box = outbox(FLEET, partition, [Unusable(FACES, partition, 1, "broken")], NOON)
    assert [each.partition for each in box.records] == [partition % 8]


def test_keys_are_gathered_and_destroyed_whatever_stands_around_them() -> None:
    outputs: list[Output] = [
        DestroyKeys(("k0",)),
        Emit(PERSONS, Tombstone("p0")),
        DestroyKeys(("k1", "k2")),
        DestroyExpiredKeys(NOON),
    ]
    box = outbox(SMALL, 0, outputs, NOON + seconds(1))
    assert (box.kids, box.expired_at) == (("k0", "k1", "k2"), NOON)
    shredder = Shredder()
    box.destroy_keys(shredder)
    assert shredder.asked == [{"k0", "k1", "k2"}, NOON]


def test_where_no_key_ends_the_key_store_is_left_in_peace() -> None:
    shredder = Shredder()
    outbox(SMALL, 0, [Emit(PERSONS, Put("p0", person()))], NOON).destroy_keys(shredder)
    assert shredder.asked == []


def test_a_dead_letter_says_where_and_why_and_never_what() -> None:
    unusable = Unusable(FRAMES, 2, 42, "no image", frame=frame(7).id)
    box = outbox(SMALL, 2, [unusable], NOON, attempts=3)
    wire = box.records[0].wire
    assert box.dead_letters == 1
    assert decode(DEAD_LETTERS, wire.key, wire.value, wire.headers) == Put(
        "frames",
        DeadLetter(
            topic="frames",
            partition=2,
            offset=42,
            error="no image",
            attempts=3,
            found_at=NOON,
            frame=frame(7).id,
        ),
    )
    assert dead_letter(unusable, NOON, 3).topic is DEAD_LETTERS


class Raw:
    """A hostile record, as large as its topic lets it be."""

    partition, offset, timestamp = 0, 42, 0
    key = b"key"
    headers = ((SCHEMA_HEADER, b"1"),)

    def __init__(self, value: bytes) -> None:
        self.value = value


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_the_largest_broken_record_still_makes_a_small_dead_letter(topic: Topic) -> None:
    """Or else the letter could not be written, the process would end, and find the same record again, for ever."""
    for name in ("kind", "stage", "decision", "outcome", "id"):
        word = "x" * (topic.max_bytes - 100)
        encode = msgspec.json.encode if topic.outward else msgspec.msgpack.encode
        told = receive(topic, Raw(encode({name: word})))
        assert isinstance(told, Unusable)
        box = outbox(SMALL, 0, [told], NOON)
        assert len(box.records[0].wire.value or b"") < 1000


def test_identifications_are_told_of_and_go_out_as_cloud_events() -> None:
    box = outbox(
        SMALL, 1, [Emit(IDENTIFICATIONS, Put("t0", TOLD)), Emit(IDENTIFICATIONS, Tombstone("t1"))], NOON + seconds(5)
    )
    assert list(box.told) == [TOLD]
    put, forgotten = (dict(each.wire.headers) for each in box.records)
    assert put["ce_type"] == TYPE.encode()
    assert put["ce_time"] == b"2026-01-01T12:00:00Z"
    assert forgotten["ce_type"] == FORGOTTEN_TYPE.encode()
    assert forgotten["ce_time"] == b"2026-01-01T12:00:05Z"
    assert put[SCHEMA_HEADER] == forgotten[SCHEMA_HEADER] == b"1"
    assert [each.wire.value is None for each in box.records] == [False, True]


def test_inner_topics_carry_the_version_alone() -> None:
    gap = Gap(camera="door", session="s1", first=0, last=1, reason="lost")
    box = outbox(SMALL, 0, [Emit(GAPS, Put("door", gap)), Emit(TEMPLATES, Tombstone("p0/e0"))], NOON)
    assert [each.wire.headers for each in box.records] == [((SCHEMA_HEADER, b"1"),)] * 2


def test_what_is_too_large_for_its_topic_is_a_bug_and_says_so() -> None:
    watch = Watch(collections=("x" * FACES.max_bytes,))
    with pytest.raises(ValueError, match="exceeds the 1048576 of topic faces"):
        outbox(SMALL, 0, [Emit(FACES, Put("f0", face(watch=watch)))], NOON)


def test_nothing_causes_nothing() -> None:
    assert outbox(SMALL, 0, [], NOON) == Outbox((), None, [], 0, [], [])
