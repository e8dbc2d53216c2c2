"""Lets aiokafka read records whose header names are no UTF-8: Kafka takes them from anybody.

aiokafka decodes the names while it fetches. One that does not decode would stop its partition for ever: no consumer
would ever be handed the record, and so none could pass it over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher  # type: ignore[import-untyped]
from aiokafka.errors import CorruptRecordException  # type: ignore[import-untyped]
from aiokafka.record.default_records import _DefaultRecordBatchPy  # type: ignore[import-untyped]
from aiokafka.record.memory_records import _MemoryRecordsPy  # type: ignore[import-untyped]


def read_any_header_name() -> None:
    """Have every consumer of this process read such names with U+FFFD for what does not decode. May be repeated."""
    fetcher.MemoryRecords = _Records


def lenient_records(batch: Any, raw: bytes) -> list[Any]:
    """The records of a batch that was read from the bytes `raw`, with such names as above."""
    return list(batch if batch.magic < 2 else _Batch(batch, memoryview(raw)))


class _Records(_MemoryRecordsPy):  # type: ignore[misc]
    """What a fetch brought, batch by batch."""

    def next_batch(self) -> Any:
        raw = self._next_slice
        batch = super().next_batch()
        return batch if batch is None or batch.magic < 2 else _Batch(batch, raw)


class _Batch:
    """A batch that is read anew, slowly and with patience, where the quick way gives up."""

    def __init__(self, batch: Any, raw: memoryview) -> None:
        self._batch = batch
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(list(self._batch))
        except (UnicodeDecodeError, CorruptRecordException):
            patient = _DefaultRecordBatchPy(self._raw)
            patient._maybe_uncompress()
            patient._buffer = _Lenient(patient._buffer)
            return iter(list(patient))


class _Lenient(bytearray):
    """Bytes that decode whatever they are."""

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        return _Lenient(found) if isinstance(place, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        return super().decode(encoding, errors)
