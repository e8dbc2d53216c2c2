"""What a record on a keyed topic means: a value was put, or the key was forgotten.

Only `codec.py` knows that Kafka spells the second one as a null value.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

V = TypeVar("V", covariant=True)
W = TypeVar("W")


@dataclass(frozen=True, slots=True)
class Put(Generic[V]):
    """The last word about `key` is `value`."""

    key: str
    value: V


@dataclass(frozen=True, slots=True)
class Tombstone:
    """The last word about `key` is that there is nothing any more; `cause` is the operation that asked for it, if any.

    Who asked changes nothing about what is said.
    """

    key: str
    cause: str | None = field(default=None, compare=False)


Change = Put[V] | Tombstone


def applied(table: dict[str, W], change: Change[W], *, forgotten: Callable[[W], None] | None = None) -> None:
    """Bring `table` up to date with one change; `forgotten` is told the value that the change replaced or removed."""
    before = table.pop(change.key, None)
    if before is not None and forgotten is not None:
        forgotten(before)
    if isinstance(change, Put):
        table[change.key] = change.value
