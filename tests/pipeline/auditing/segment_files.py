"""Segment files as Kafka writes them, made without one."""

from datetime import datetime
from pathlib import Path
from typing import Any

from aiokafka.record.default_records import DefaultRecordBatchBuilder  # type: ignore[import-untyped]

from pipeline.changes import Change
from pipeline.codec import encode
from pipeline.topology import Topic


def batch(topic: Topic, change: Change[Any], appended: datetime, offset: int = 0, compression: int = 0) -> bytes:
    """One batch with this record."""
    wire = encode(topic, change)
    builder = DefaultRecordBatchBuilder(2, compression, 0, -1, -1, -1, 1 << 22)
    builder.append(0, int(1000 * appended.timestamp()), wire.key, wire.value, list(wire.headers))
    # The base offset is the broker's to write, in the first eight bytes.
    return offset.to_bytes(8, "big") + bytes(builder.build())[8:]


def segment(data: Path, name: str, content: bytes, base: int = 0, state: str = "") -> Path:
    """A segment of partition 0 of the topic called `name`."""
    path = data / f"{name}-0" / f"{base:020d}.log{state}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
