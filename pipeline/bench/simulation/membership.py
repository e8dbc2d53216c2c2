"""A consumer's place in its group: it joins, is given partitions, asks at every heartbeat, and joins again."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from aiokafka import TopicPartition  # type: ignore[import-untyped]

from pipeline.bench.simulation.broker import SimulatedBroker
from pipeline.bench.simulation.groups import Group, Member
from pipeline.bench.simulation.loop import LIFE

HEARTBEAT_S = 3.0


class Given(Protocol):
    """Whoever reads what the group assigns."""

    async def lose(self, partitions: list[TopicPartition]) -> None: ...

    async def gain(self, partitions: list[TopicPartition]) -> None: ...


class Membership:
    """Of one consumer. A static member does not leave its group, unless its instance is taken from it first."""

    def __init__(self, broker: SimulatedBroker, group: str, instance: str | None) -> None:
        self._broker = broker
        self._name = group
        self._life = LIFE.get()
        self._group_instance_id = instance
        self._member = Member(instance or f"member-{id(self)}", self._silent)
        self._group: Group | None = None
        self._belonging: asyncio.Task[None] | None = None

    def begin(self, topic: str, given: Given) -> None:
        """Join, in the background."""
        self._group = self._broker.groups.of(self._name, topic)
        self._belonging = asyncio.create_task(self._belong(self._group, topic, given))

    async def end(self) -> None:
        """Belong no more."""
        if self._belonging is not None:
            self._belonging.cancel()
        await self._maybe_leave_group()

    def _silent(self) -> float:
        since = None if self._life is None else self._life.silent_since
        return 0.0 if since is None else self._broker.loop.time() - since

    async def _belong(self, group: Group, topic: str, given: Given) -> None:
        mine: list[TopicPartition] = []
        while True:
            await given.lose(mine)
            joined: asyncio.Future[list[int]] = self._broker.loop.create_future()
            await self._broker.ask(lambda joined=joined: group.join(self._member, _answer(joined)))  # type: ignore[misc]
            mine = [TopicPartition(topic, number) for number in await joined]
            await given.gain(mine)
            # A heartbeat.
            while not await self._broker.ask(lambda: group.must_rejoin(self._member)):  # noqa: ASYNC110
                await asyncio.sleep(HEARTBEAT_S / self._broker.pace.hurry)

    async def _maybe_leave_group(self) -> None:
        group = self._group
        if group is not None and self._group_instance_id is None:
            await self._broker.ask(lambda: group.leave(self._member))


def _answer(joined: "asyncio.Future[list[int]]") -> Callable[[list[int]], None]:
    return lambda given: None if joined.done() else joined.set_result(given)
