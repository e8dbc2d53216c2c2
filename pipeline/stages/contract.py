"""What a stage is to its shell, and what it may ask the shell to do.

A stage has one state per input partition. `replay` rebuilds it from what the stage itself wrote; `prepare` may
block on the outside (a gallery, a model, keys) and runs off the event loop, without the state; `step` and `tick` are
pure: no I/O, no clock, no chance. Everything that must happen is in their outputs. A state is handed over: whoever
gave it does not use it again.

Time goes on beside a `prepare`: a `tick` can come between it and its `step`, and what the stage follows changes under
its hands. It may look things up there, and not go through them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar, runtime_checkable

from pipeline.changes import Change
from pipeline.codec import Received, Unusable
from pipeline.topology import Node, Topic

State = TypeVar("State")
Prepared = TypeVar("Prepared")


@dataclass(frozen=True, slots=True)
class Emit:
    """Write `change` to `topic`, to the partition that the stage is working on."""

    topic: Topic
    change: Change[Any]


@dataclass(frozen=True, slots=True)
class DestroyKeys:
    """Destroy data keys, before any record of the same step becomes visible."""

    kids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DestroyExpiredKeys:
    """Destroy every data key whose time was over at `now`."""

    now: datetime


@dataclass(frozen=True, slots=True)
class TakeOver:
    """Take a partition of `faces` from whoever owns it at identify, and do there what its owner owes everybody.

    That is what `stages.withdrawal` does. To be repeated while it is needed; the owner may come back at any time.
    `heard` says that an owner has been heard since it was taken last, if it ever was.
    """

    partition: int
    heard: bool = False


@dataclass(frozen=True, slots=True)
class Nudge:
    """Append something to each partition of a topic: only an append rolls a segment, and only then it is cleaned."""

    topic: Topic


@dataclass(frozen=True, slots=True)
class Purge:
    """Delete what the group of `reader` has read and committed of the topic that it reads.

    Of the partitions that fall to the one that the stage works on: each falls to one.
    """

    reader: Node


Upkeep = TakeOver | Nudge | Purge
Output = Emit | DestroyKeys | DestroyExpiredKeys | Upkeep


class Replaying(Protocol[State]):
    """Whatever has a state per partition that can be rebuilt."""

    @property
    def node(self) -> Node: ...

    def begin(self) -> State:
        """The state of a partition of which nothing is known."""
        ...

    def replay(self, state: State, received: Received) -> State:
        """Learn from a record that the stage itself once wrote."""
        ...


class Stage(Replaying[State], Protocol[State, Prepared]):
    """A stage, as both shells see it."""

    @property
    def batch(self) -> int:
        """How many records a step takes at most."""
        ...

    def prepare(self, inputs: Sequence[Received]) -> Prepared:
        """The part of the work that needs the outside; may block, may wait for an absent service."""
        ...

    def step(self, state: State, prepared: Prepared, now: datetime) -> tuple[State, list[Output | Unusable]]:
        """Take the prepared inputs into account."""
        ...


@runtime_checkable
class Obliged(Protocol[State]):
    """A stage that owes somebody something for what it reads, even where it cannot be done."""

    def may_pass_over(self, received: Received) -> bool:
        """Whether the record may be left undone when it has ended the process too often.

        Not where something was begun outside that only this record can bring to an end.
        """
        ...

    def pass_over(self, state: State, received: Received, now: datetime) -> tuple[State, list[Output]]:
        """What is owed for a record that is left undone: whoever asked hears that it failed."""
        ...


class KeptStage(Stage[State, Prepared], Protocol[State, Prepared]):
    """A stage that time alone, or a change of the tables, can move; only the keeper runs such."""

    def tick(self, state: State, now: datetime) -> tuple[State, list[Output], datetime | None]:
        """What is due at `now`, and when to ask again at the latest (None: nothing is due)."""
        ...
