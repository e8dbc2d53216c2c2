"""The transaction coordinator: epochs, fencing, and ends that every partition learns in its own time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from aiokafka.errors import ProducerFenced  # type: ignore[import-untyped]

from pipeline.bench.simulation.log import Partition

Place = tuple[str, int]


class BusyError(Exception):
    """CONCURRENT_TRANSACTIONS: the earlier transaction of this id is not through; ask again."""


@dataclass(slots=True)
class Transaction:
    """What the coordinator knows of a transactional id; one transaction at a time."""

    producer: int
    epoch: int = 0
    state: Literal["empty", "open", "ending"] = "empty"
    serial: int = 0
    partitions: dict[Place, Partition] = field(default_factory=dict)
    offsets: dict[tuple[str, Place], int] = field(default_factory=dict)
    unmarked: int = 0


@dataclass(slots=True)
class Coordinator:
    """`later` calls back at the broker after a while, `commit` makes group offsets the last word; `seen` counts."""

    later: Callable[[float | None, Callable[[], None]], None]
    commit: Callable[[str, Place, int], None]
    seen: Callable[[str], None]
    _known: dict[str, Transaction] = field(default_factory=dict)
    _producers: int = 0

    def producer(self) -> int:
        """A producer id that nobody had."""
        self._producers += 1
        return self._producers

    def init(self, name: str) -> tuple[int, int]:
        """InitProducerId: producer id and epoch. An open transaction of an earlier epoch is aborted first."""
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = Transaction(self.producer())
            return known.producer, 0
        if known.state == "open":
            self.seen("fenced with a transaction open")
            known.epoch += 1
            self._end(known, commit=False)
        if known.state == "ending":
            raise BusyError
        known.epoch += 1
        return known.producer, known.epoch

    def epoch(self, name: str) -> int:
        """The newest epoch of an id, -1 where it has none."""
        return self._known[name].epoch if name in self._known else -1

    def is_open(self, prefix: str) -> bool:
        """Whether a transaction of an id that begins like this is open now."""
        return any(known.state == "open" for name, known in self._known.items() if name.startswith(prefix))

    def add(self, name: str, epoch: int, partitions: dict[Place, Partition], timeout: float) -> None:
        """AddPartitionsToTxn; it begins a transaction where none is open."""
        known = self._of(name, epoch)
        self._begin(known, timeout)
        known.partitions |= partitions

    def add_offsets(self, name: str, epoch: int, group: str, offsets: dict[Place, int], timeout: float) -> None:
        """AddOffsetsToTxn and TxnOffsetCommit in one."""
        known = self._of(name, epoch)
        self._begin(known, timeout)
        known.offsets |= {(group, place): offset for place, offset in offsets.items()}

    def check_append(self, name: str, epoch: int, place: Place) -> int:
        """The producer id that may append there now; ProducerFenced for an epoch, or a transaction, that is over."""
        try:
            known = self._of(name, epoch)
        except ProducerFenced:
            self.seen("late produce refused by its epoch")
            raise
        if known.state != "open" or place not in known.partitions:
            raise ProducerFenced
        return known.producer

    def end(self, name: str, epoch: int, *, commit: bool) -> None:
        """EndTxn: decided when this returns; the partitions are told one by one."""
        known = self._of(name, epoch)
        if known.state == "ending":
            raise BusyError
        if known.state == "open":
            self._end(known, commit=commit)

    def _of(self, name: str, epoch: int) -> Transaction:
        known = self._known[name]
        if known.epoch != epoch:
            raise ProducerFenced
        return known

    def _begin(self, known: Transaction, timeout: float) -> None:
        if known.state == "ending":
            raise BusyError
        if known.state == "empty":
            known.state = "open"
            known.serial += 1
            serial = known.serial
            self.later(timeout, lambda: self._time_out(known, serial))

    def _time_out(self, known: Transaction, serial: int) -> None:
        if known.state == "open" and known.serial == serial:
            self.seen("a transaction timed out")
            known.epoch += 1
            self._end(known, commit=False)

    def _end(self, known: Transaction, *, commit: bool) -> None:
        partitions, offsets = list(known.partitions.values()), known.offsets
        known.state, known.partitions, known.offsets = "ending", {}, {}
        known.unmarked = len(partitions) + bool(offsets)

        def marked() -> None:
            known.unmarked -= 1
            if not known.unmarked:
                known.state = "empty"

        def mark(partition: Partition) -> None:
            partition.mark(known.producer, commit=commit)
            marked()

        def move_offsets() -> None:
            for (group, place), offset in offsets.items() if commit else ():
                self.commit(group, place, offset)
            marked()

        for partition in partitions:
            self.later(None, lambda partition=partition: mark(partition))  # type: ignore[misc]
        if offsets:
            self.later(None, move_offsets)
        if not known.unmarked:
            known.state = "empty"
