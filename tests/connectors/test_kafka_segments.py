"""The files of a real broker: every record that it took stands in them, whatever became of it since."""

import asyncio
import errno
import os
import secrets
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder  # type: ignore[import-untyped]

from connectors import ServiceRefused
from connectors.broker import EmbeddedBroker
from connectors.kafka import KafkaAccess, producer
from connectors.kafka_admin import KafkaAdmin, TopicPlan
from connectors.kafka_segments import (
    Segment,
    StoredRecord,
    Unread,
    broker_of,
    cleaned_up_to,
    directory_of,
    records,
    segments,
)


def folder(tmp_path: Path, name: str, content: bytes, file: str = "00000000000000000000.log") -> Path:
    place = tmp_path / name / file
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


def batch(value: bytes, compression: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(2, compression, 0, -1, -1, -1, 1 << 20)
    builder.append(0, 1_700_000_000_000, b"key", value, [("h", None)])
    return bytes(builder.build())


def only(data: Path) -> list[StoredRecord | Unread]:
    """What the one segment holds that is there."""
    (found,) = [list(records(segment)) for segment in segments(data)]
    return found


def values(segment: Segment) -> list[bytes | None]:
    return [record.value for record in records(segment) if isinstance(record, StoredRecord)]


@pytest.mark.parametrize(
    ("place", "file", "topic", "state"),
    [
        ("persons-0", "00000000000000000007.log", "persons", ""),
        ("a-b-c-12", "00000000000000000007.log.deleted", "a-b-c", ".deleted"),
        ("persons-0", "00000000000000000007.log.cleaned", "persons", ".cleaned"),
        ("persons-0", "00000000000000000007.log.swap", "persons", ".swap"),
        ("persons-0." + "0a" * 16 + "-delete", "00000000000000000007.log", "persons", ""),
        ("persons-0." + "0a" * 16 + "-future", "00000000000000000007.log", "persons", ""),
    ],
)
def test_every_name_that_kafka_gives_a_segment(tmp_path: Path, place: str, file: str, topic: str, state: str) -> None:
    folder(tmp_path, place, batch(b"v"), file)
    folder(tmp_path, place, b"", "00000000000000000007.index")
    found = segments(tmp_path)
    one = next(found)
    assert (one.topic, one.base, one.state) == (topic, 7, state)
    assert (values(one), one.written) == ([b"v"], 1_700_000_000_000)
    assert next(found, None) is None


@pytest.mark.parametrize("compression", [0, 1], ids=["plain", "gzip"])
def test_the_compression_that_python_has_is_undone(tmp_path: Path, compression: int) -> None:
    folder(tmp_path, "t-0", batch(b"one" * 50, compression) * 2)
    assert [values(each) for each in segments(tmp_path)] == [[b"one" * 50] * 2]


def test_what_cannot_be_read_is_handed_on_as_bytes(tmp_path: Path) -> None:
    whole, torn, zstd = batch(b"whole"), batch(b"torn")[:-3], bytearray(batch(b"zstd"))
    struct.pack_into(">h", zstd, 21, 4)  # attributes: zstd, for which there is no decoder here
    folder(tmp_path, "t-0", whole + bytes(zstd) + whole + torn + b"re")
    found = only(tmp_path)
    assert [type(each) for each in found] == [StoredRecord, Unread, StoredRecord, Unread]
    assert found[1] == Unread(len(whole), bytes(zstd))
    assert found[3] == Unread(2 * len(whole) + len(zstd), torn + b"re")


@pytest.mark.parametrize("tail", [b"\0" * 99 + b"x", b"\xff" * 100, b"\x00" * 8 + b"\x7f\xff\xff\xff" + b"x" * 50])
def test_a_tail_of_anything_ends_the_reading(tmp_path: Path, tail: bytes) -> None:
    folder(tmp_path, "t-0", batch(b"v") + tail)
    *whole, last = only(tmp_path)
    assert len(whole) == 1
    assert last == Unread(len(batch(b"v")), tail)


def test_room_taken_in_advance_is_nothing(tmp_path: Path) -> None:
    folder(tmp_path, "t-0", batch(b"v") + bytes(100))
    assert [type(each) for each in only(tmp_path)] == [StoredRecord]


def test_batches_larger_than_a_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.kafka_segments.PIECE", 100)
    folder(tmp_path, "t-0", batch(b"a" * 1000) + batch(b"b") + batch(b"c" * 500))
    assert [len(value or b"") for each in segments(tmp_path) for value in values(each)] == [1000, 1, 500]


def test_an_empty_segment_was_never_written(tmp_path: Path) -> None:
    folder(tmp_path, "t-0", b"")
    assert [(each.written, values(each)) for each in segments(tmp_path)] == [(None, [])]


def test_what_vanishes_or_is_replaced_meanwhile_is_read_as_it_was(tmp_path: Path) -> None:
    """The cleaner puts what it wrote in the place of what it read, and unlinks that a moment later."""
    first, second = (folder(tmp_path, "t-0", batch(name), f"{base:020}.log") for base, name in ((0, b"old"), (5, b"x")))
    found = segments(tmp_path)
    one = next(found)
    first.rename(first.with_name(first.name + ".deleted"))
    folder(tmp_path, "t-0", batch(b"new"))
    second.unlink()
    assert [values(one), *(values(each) for each in found)] == [[b"old"], [b"x"]]


def before(monkeypatch: pytest.MonkeyPatch, call: str, happens: Callable[[Path], None]) -> None:
    """Have something happen before each call of this function of `os`, which is given where it will look."""
    done = getattr(os, call)

    def called(place: Any, *given: Any, **named: Any) -> Any:
        happens(Path(f"/proc/self/fd/{place}").resolve() if isinstance(place, int) else Path(place))
        return done(place, *given, **named)

    monkeypatch.setattr(os, call, called)


def test_a_swap_while_files_are_opened_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder(tmp_path, "t-0", batch(b"old"))
    other = folder(tmp_path, "t-0", batch(b"other"), "00000000000000000005.log")
    swapped: list[Path] = []

    def swap(place: Path) -> None:
        # Two became one, as the cleaner merges small segments, and the old ones are unlinked already.
        if place.name == other.name and not swapped:
            swapped.append(place)
            other.unlink()
            path.unlink()
            folder(tmp_path, "t-0", batch(b"old") + batch(b"other"))

    before(monkeypatch, "open", swap)
    assert [values(each) for each in segments(tmp_path)] == [[b"old", b"other"]]
    assert swapped


def test_the_folder_of_a_topic_that_is_being_deleted_is_read_by_its_new_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, gone = folder(tmp_path, "t-0", batch(b"v")), tmp_path / f"t-0.{'0a' * 16}-delete"

    def rename(place: Path) -> None:
        if place == path.parent and not gone.exists():
            path.parent.rename(gone)

    before(monkeypatch, "open", rename)
    assert [(each.topic, values(each)) for each in segments(tmp_path)] == [("t", [b"v"])]


def test_a_folder_that_vanishes_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    goes, stays = (folder(tmp_path, name, batch(b"v")) for name in ("goes-0", "stays-0"))

    def remove(place: Path) -> None:
        if place == goes.parent:
            goes.unlink()
            place.rmdir()

    before(monkeypatch, "open", remove)
    assert [found.path for found in segments(tmp_path)] == [stays]


@pytest.mark.parametrize("call", ["open", "scandir"])
def test_a_folder_that_may_not_be_listed_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    (tmp_path / "lost+found").mkdir()

    def refuse(place: Path) -> None:
        if place != tmp_path:
            raise PermissionError(errno.EACCES, "Permission denied", str(place))

    before(monkeypatch, call, refuse)
    assert list(segments(tmp_path)) == []
    folder(tmp_path, "t-0", batch(b"v"))
    with pytest.raises(ServiceRefused, match=r"/t-0 cannot be listed: Permission denied; run this as its owner$"):
        list(segments(tmp_path))


def test_a_file_that_may_not_be_read_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder(tmp_path, "t-0", batch(b"v"))

    def refuse(place: Path) -> None:
        if place.name == path.name:
            raise PermissionError(errno.EACCES, "Permission denied", str(place))

    before(monkeypatch, "open", refuse)
    with pytest.raises(ServiceRefused, match=rf"^{path} cannot be read: Permission denied; run this as its owner$"):
        list(segments(tmp_path))


@asynccontextmanager
async def writing(access: KafkaAccess, name: str) -> AsyncIterator[Any]:
    """A transactional producer, and the topic for it; both are gone afterwards, lest they fail another test."""
    settings = {
        "cleanup.policy": "compact",
        "segment.ms": "2000",
        "max.compaction.lag.ms": "2000",
        "file.delete.delay.ms": "60000",
        "message.timestamp.type": "LogAppendTime",
    }
    admin = KafkaAdmin(access)
    await asyncio.to_thread(admin.create_topics, [TopicPlan(name, 1, 1, settings)])
    sender = producer(access, transactional_id=name)
    await sender.start()
    try:
        yield sender
    finally:
        await sender.stop()
        await asyncio.to_thread(admin.delete_topics, [name])
        admin.close()


@pytest.mark.broker
async def test_the_files_of_a_broker(kafka_jars: Path, broker: EmbeddedBroker) -> None:
    name = f"seg-{secrets.token_hex(4)}"

    def found() -> dict[bytes | None, str]:
        return {
            record.value: segment.state
            for segment in segments(broker.data)
            if segment.topic == name
            for record in records(segment)
            if isinstance(record, StoredRecord)
        }

    async with writing(KafkaAccess(broker.bootstrap), name) as sender:
        await sender.begin_transaction()
        await sender.send_and_wait(name, b"aborted", key=b"a")
        await sender.abort_transaction()
        async with sender.transaction():
            await sender.send_and_wait(name, b"victim", key=b"v", headers=[("h", b"1")])
        async with sender.transaction():
            await sender.send_and_wait(name, None, key=b"v")
        assert found().keys() == {b"aborted", b"victim", None}
        # The time of a segment, then one nudge: each pass of the cleaner puts what it replaces in the place of what
        # the last one did, so after a second pass the victim is gone.
        await asyncio.sleep(2.1)
        async with sender.transaction():
            await sender.send_and_wait(name, b"nudge", key=b"n")
        async with asyncio.timeout(30):
            while found().get(b"victim") != ".deleted":  # noqa: ASYNC110 - a file tells nobody
                await asyncio.sleep(0.2)
        async with asyncio.timeout(30):
            while cleaned_up_to(broker.data).get((name, 0), 0) == 0:  # noqa: ASYNC110 - a file tells nobody
                await asyncio.sleep(0.2)


def test_no_checkpoint_means_nothing_was_cleaned(tmp_path: Path) -> None:
    assert cleaned_up_to(tmp_path) == {}


def test_a_folder_says_whose_it_is(tmp_path: Path) -> None:
    assert broker_of(tmp_path) is None
    (tmp_path / "meta.properties").write_text("#\nnode.id=17\nversion=1\n")
    assert broker_of(tmp_path) == 17
    assert directory_of(tmp_path) is None
    (tmp_path / "meta.properties").write_text("node.id=17\ndirectory.id=BHB8UOW2D8_0hiu5JAcu0w\n")
    assert directory_of(tmp_path) == "BHB8UOW2D8_0hiu5JAcu0w"
