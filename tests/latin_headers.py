"""Header names in Latin-1, as no client of ours writes them, but Kafka takes them."""

import pytest
from aiokafka.producer import message_accumulator  # type: ignore[import-untyped]
from aiokafka.producer import producer as aiokafka_producer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy  # type: ignore[import-untyped]


class Latin(str):
    """A header's name that is spelled in Latin-1."""

    __slots__ = ()

    def encode(self, *_: object, **__: object) -> bytes:
        return super().encode("latin-1")


def let_producers_write_latin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have aiokafka's producers ask a name for its bytes: their quick way takes nothing but UTF-8."""
    for module in (message_accumulator, aiokafka_producer):
        monkeypatch.setattr(module, "DefaultRecordBatchBuilder", _DefaultRecordBatchBuilderPy)
