"""A broker's data folder read from the files themselves: what is on the disk, whether or not Kafka would still show it.

Deleted segments that wait to be unlinked, segments that the cleaner is writing, folders of deleted topics: all of them
hold records in the one format. Files grow and vanish meanwhile; what vanishes is gone, which is no fault.
"""

from __future__ import annotations

import os
import re
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from aiokafka.errors import KafkaError  # type: ignore[import-untyped]
from aiokafka.record.memory_records import MemoryRecords  # type: ignore[import-untyped]

from connectors import ServiceRefused
from connectors.kafka_headers import lenient_records

SEGMENT = re.compile(r"(\d{20})\.log(\.deleted|\.cleaned|\.swap)?")
# A folder is renamed when its topic is deleted, its replica moves to another disk, or nobody knows it any more.
FOLDER = re.compile(r"(.+)-(\d+)")
RENAMED = re.compile(r"(.+)\.[0-9a-f]{32}-(?:delete|future|stray)")
CHECKPOINT = "cleaner-offset-checkpoint"
# The header of a batch (DefaultRecordBatch.java): base offset 8, length 4, leader epoch 4, magic 1, checksum 4,
# attributes 2, last offset 4, times 16, producer 14, count of records 4. The length counts what stands behind it.
HEADER = struct.Struct(">8xi9xh34xi")
OVERHEAD = 12
CONTROL, COMPRESSION = 0x20, 0x07
PIECE = 16 << 20
MIDST_SECONDS = 0.05
FIRST_TIMESTAMP = struct.Struct(">27xq")


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment file; `state` is "" for one in use, else what is to become of it: ".deleted", ".cleaned", ".swap".

    `written` is when its oldest batch was, in milliseconds, None where it is empty. `file` is open as long as the turn
    of its partition lasts.
    """

    path: Path
    topic: str
    partition: int
    base: int
    state: str
    written: int | None
    file: BinaryIO = field(repr=False, compare=False)


class StoredRecord(NamedTuple):
    """A record as it stands in a file; `timestamp` in milliseconds."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


class Batch(NamedTuple):
    """A batch, not yet read: its place in the file, its size, how many records its header counts, whether compressed.

    It is the bytes from `begins` on of `held`.
    """

    at: int
    size: int
    records: int
    compressed: bool
    held: bytes
    begins: int


class Unread(NamedTuple):
    """Bytes of a segment in which no record could be read: another compression, a torn end, a foreign format."""

    at: int
    content: bytes


def segments(data: Path) -> Iterator[Segment]:
    """Every segment file in a broker's data folder, partition by partition, each as it is at one moment.

    A file is open until the iteration leaves its partition: what is renamed or unlinked meanwhile is read all the same.
    ServiceRefused where a folder cannot be listed, or a file not be read.
    """
    done: set[tuple[str, int, int]] = set()
    listed: list[str] = []
    # A folder is renamed when its topic is deleted: it may not be there by the name that it was listed under.
    while listed != (names := _names(data, data)):
        listed = names
        for name in names:
            place = FOLDER.fullmatch(RENAMED.sub(r"\1", name))
            if place is not None:
                yield from _partition(data / name, place[1], int(place[2]), done)


def _partition(folder: Path, topic: str, number: int, done: set[tuple[str, int, int]]) -> Iterator[Segment]:
    with ExitStack() as stack:
        try:
            here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise _refused(folder, "listed", error) from None
        stack.callback(os.close, here)
        this = topic, number, os.fstat(here).st_ino
        if this in done:
            return
        done.add(this)
        for name, file in sorted(_opened(folder, here, stack).items()):
            base, state = SEGMENT.fullmatch(name).groups("")  # type: ignore[union-attr]
            yield Segment(folder / name, topic, number, int(base), state, _first_written(file), file)


def _opened(folder: Path, here: int, stack: ExitStack) -> dict[str, BinaryIO]:
    """The segments of a folder, all that it had at one moment: Kafka swaps files under a name, one after another."""
    while True:
        with ExitStack() as attempt:
            files: dict[str, BinaryIO] = {}
            for name in filter(SEGMENT.fullmatch, _names(folder, here)):
                with suppress(FileNotFoundError):
                    files[name] = attempt.enter_context(_open(folder, here, name))
            if {name: os.fstat(file.fileno()).st_ino for name, file in files.items()} == _inodes(folder, here):
                stack.push(attempt.pop_all())
                return files


def _open(folder: Path, here: int, name: str) -> BinaryIO:
    try:
        return os.fdopen(os.open(name, os.O_RDONLY, dir_fd=here), "rb")
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _refused(folder / name, "read", error) from None


def _inodes(folder: Path, here: int) -> dict[str, int]:
    found = {}
    for name in filter(SEGMENT.fullmatch, _names(folder, here)):
        with suppress(FileNotFoundError):
            found[name] = os.stat(name, dir_fd=here).st_ino
    return found


def _names(folder: Path, here: Path | int) -> list[str]:
    """What is in a folder, sorted; Path.glob would pass over one that we may not list."""
    try:
        with os.scandir(here) as entries:
            return sorted(entry.name for entry in entries)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _refused(folder, "listed", error) from None


def _refused(path: Path, done: str, error: OSError) -> ServiceRefused:
    return ServiceRefused(f"{path} cannot be {done}: {error.strerror}; run this as its owner")


def _first_written(file: BinaryIO) -> int | None:
    # FirstTimestamp in the header of a batch (DefaultRecordBatch.java).
    head = os.pread(file.fileno(), FIRST_TIMESTAMP.size, 0)
    return FIRST_TIMESTAMP.unpack(head)[0] if len(head) == FIRST_TIMESTAMP.size else None


def records(segment: Segment) -> Iterator[StoredRecord | Unread]:
    """What a segment holds, in order, of every transaction, also of those that were aborted; memory is bounded."""
    for batch in batches(segment):
        yield from read(segment, batch)


def batches(segment: Segment) -> Iterator[Batch]:
    """The batches of a segment, in order, by their headers alone: a gigabyte of them takes seconds."""
    segment.file.seek(0)
    yield from _batches(segment.file)


def read(segment: Segment, batch: Batch) -> Iterator[StoredRecord | Unread]:
    """The records of a batch."""
    raw = batch.held[batch.begins : batch.begins + batch.size]
    # Zeros are room that the broker took in advance (log.preallocate).
    if raw.strip(b"\0"):
        yield from _records(segment, batch.at, raw)


def broker_of(data: Path) -> int | None:
    """The id of the broker whose folder this is; None where the folder does not say."""
    told = _told_by(data, r"node\.id=(\d+)")
    return None if told is None else int(told)


def directory_of(data: Path) -> str | None:
    """The id that this folder has among all log directories, wherever it is mounted; None where it does not say."""
    return _told_by(data, r"directory\.id=(\S+)")


def _told_by(data: Path, line: str) -> str | None:
    try:
        told = (data / "meta.properties").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(f"^{line}$", told, re.M)
    return None if found is None else found[1]


def cleaned_up_to(data: Path) -> Mapping[tuple[str, int], int]:
    """How far the cleaner has come, by topic and partition: the first offset that it has not looked at."""
    try:
        lines = (data / CHECKPOINT).read_text(encoding="utf-8").splitlines()[2:]
    except FileNotFoundError:
        return {}
    # "topic partition offset"; a topic's name has no blanks.
    return {(topic, int(partition)): int(offset) for topic, partition, offset in (line.split() for line in lines)}


def _batches(file: BinaryIO) -> Iterator[Batch]:
    """Each batch with its place; last, what is left and is no whole batch."""
    at, held, patient = 0, b"", True
    while True:
        piece = file.read(PIECE)
        held += piece
        used, length = 0, 1
        while len(held) - used >= HEADER.size:
            length, attributes, count = HEADER.unpack_from(held, used)
            size = OVERHEAD + length
            if length <= 0 or used + size > len(held):
                break
            written = 0 if attributes & CONTROL else count
            yield Batch(at + used, size, written, attributes & COMPRESSION != 0, held, used)
            used += size
        at, held = at + used, held[used:]
        if length <= 0:
            break
        if not piece:
            if not held or not patient:
                break
            # The broker may be in the midst of writing the batch.
            time.sleep(MIDST_SECONDS)
            patient = False
    while held:
        yield Batch(at, len(held), 0, True, held, 0)
        at, held = at + len(held), file.read(PIECE)


def _records(segment: Segment, at: int, raw: bytes) -> Iterator[StoredRecord | Unread]:
    try:
        batch = MemoryRecords(raw).next_batch()
        found = [] if batch is None or batch.is_control_batch else list(lenient_records(batch, raw))
    # Whatever it is that cannot be read is handed on as bytes: an audit must not end here.
    except (KafkaError, ValueError, IndexError, RuntimeError, struct.error):
        yield Unread(at, raw)
        return
    if batch is None:
        yield Unread(at, raw)
    for record in found:
        headers = tuple((name, content) for name, content in record.headers)
        yield StoredRecord(segment.partition, record.offset, record.timestamp, record.key, record.value, headers)
