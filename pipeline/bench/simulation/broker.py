"""A simulated Kafka: partitions, two coordinators, and the network between it and its clients.

Every request takes its own time to arrive and so does every answer, so the order in which requests of different
clients take effect is one of those that a real network can bring about. What was sent arrives, even when its sender is
dead; while the broker is down it waits, as clients try again.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pipeline.bench.simulation.groups import Group, Groups
from pipeline.bench.simulation.log import Entry, Headers, Limits, Partition
from pipeline.bench.simulation.loop import LIFE, VirtualLoop
from pipeline.bench.simulation.transactions import BusyError, Coordinator, Place

T = TypeVar("T")
SESSION_CHECK_S = 0.25
AGAIN_S = 0.005


@dataclass(frozen=True, slots=True)
class Pace:
    """How the world's times relate to the real ones, and how rough its network is.

    Sessions and transactions end `hurry` times sooner than the clients ask for: nothing but the order of events
    matters. `slow` requests in 1 take up to `slowest` seconds. A reader that nothing arrives for waits `drowsy` times
    as long as it asked for, as on a machine with much to do: most of what a run costs is readers who look in vain.
    """

    hurry: float = 15.0
    slow: float = 0.02
    slowest: float = 0.05
    drowsy: float = 1.0


@dataclass(frozen=True, slots=True)
class SlowFence:
    """An InitProducerId that takes `seconds` to arrive; `begun` is called when it leaves."""

    seconds: float
    begun: Callable[[], None] = lambda: None


@dataclass
class SimulatedBroker:
    """`stamp` gives the broker's clock in milliseconds, `heard` is told what readers of committed records may see."""

    loop: VirtualLoop
    chance: random.Random
    topics: Mapping[str, tuple[int, Mapping[str, str]]]
    stamp: Callable[[], int]
    heard: Callable[[Partition, Iterable[Entry]], None] = lambda _partition, _entries: None
    appended: Callable[[Partition, bytes | None, bytes | None], None] = lambda _partition, _key, _value: None
    pace: Pace = Pace()
    states: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.down_until = 0.0
        self.steps = 0
        # By the transactional id whose next fence it is.
        self.slow_fences: dict[str, SlowFence] = {}
        self.slowly_fenced = 0
        self.partitions: dict[Place, Partition] = {
            (name, number): Partition(name, number, Limits.of(settings), self.loop.time, self.stamp, self._told)
            for name, (count, settings) in self.topics.items()
            for number in range(count)
        }
        self.groups = Groups(self._group)
        self.coordinator = Coordinator(self.later, self.groups.commit, self.saw)
        self._session = 30.0 / self.pace.hurry

    def saw(self, state: str) -> None:
        """Count a state of the world that is rare, and has to be reached."""
        self.states[state] += 1

    def _told(self, partition: Partition, entries: Iterable[Entry]) -> None:
        self.heard(partition, entries)

    def _group(self, topic: str) -> Group:
        group = Group(self.topics[topic][0], self.later, self.saw, self._session)

        def check() -> None:
            group.check_sessions()
            self.later(SESSION_CHECK_S, check)

        self.later(SESSION_CHECK_S, check)
        return group

    @property
    def is_down(self) -> bool:
        return self.loop.time() < self.down_until

    def crash(self, seconds: float) -> None:
        """kill -9, and a start after `seconds`. What was acknowledged is there; a log's start may not be."""
        self.saw("the broker was killed")
        self.down_until = self.loop.time() + seconds
        for partition in self.partitions.values():
            start = partition.start
            partition.crash()
            if partition.start < start:
                self.saw("a log's start was lost with the broker")
        # Readers wait for nothing else.
        self.later(seconds, self._wake_all)

    def _wake_all(self) -> None:
        for partition in self.partitions.values():
            for watcher in list(partition.watchers):
                watcher()

    async def hold_up(self, name: str) -> None:
        """What a fence meets on its way; one that is slow meanwhile counts in `slowly_fenced`."""
        slow = self.slow_fences.pop(name, None)
        if slow is None:
            return
        slow.begun()
        self.slowly_fenced += 1
        try:
            await asyncio.sleep(slow.seconds)
        finally:
            self.slowly_fenced -= 1

    def append(self, place: Place, record: tuple[bytes | None, bytes | None, Headers], producer: int | None) -> None:
        """Append a record, of a transaction's `producer` or of nobody's."""
        key, value, headers = record
        self.appended(self.partitions[place], key, value)
        self.partitions[place].append(key, value, headers, producer)

    def delay(self) -> float:
        """Seconds that one way takes."""
        if self.chance.random() < self.pace.slow:
            return self.chance.uniform(0.0, self.pace.slowest)
        return self.chance.uniform(0.0002, 0.002)

    def later(self, seconds: float | None, act: Callable[[], None]) -> None:
        """Act at the broker after that time, or after a way's; not while it is down, and whoever is dead by then."""

        def arrive() -> None:
            if self.is_down:
                Context().run(self.loop.call_at, self.down_until + self.delay(), arrive)
            else:
                self.steps += 1
                act()

        Context().run(self.loop.call_later, self.delay() if seconds is None else seconds, arrive)

    async def ask(self, effect: Callable[[], T]) -> T:
        """Send a request and wait for its answer; `effect` happens at the broker, once, whatever becomes of us."""
        life = LIFE.get()
        if life is not None:
            life.check()
        answered: asyncio.Future[T] = self.loop.create_future()
        self.later(None, lambda: self._handle(effect, answered))
        return await answered

    def _handle(self, effect: Callable[[], T], answered: "asyncio.Future[T]") -> None:
        error: Exception | None = None
        found: Any = None
        try:
            found = effect()
        except Exception as raised:
            error = raised

        def answer() -> None:
            if answered.done():
                return
            if error is None:
                answered.set_result(found)
            else:
                answered.set_exception(error)

        self.loop.call_later(self.delay(), answer)

    async def ask_until_free(self, effect: Callable[[], T]) -> T:
        """The same, again and again while an earlier transaction is not through."""
        while True:
            try:
                return await self.ask(effect)
            except BusyError:
                await asyncio.sleep(AGAIN_S)
