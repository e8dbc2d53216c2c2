"""A simulated producer, with the interface of aiokafka's: idempotent, or transactional and fenced by a newer epoch."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.errors import IllegalOperation, ProducerFenced  # type: ignore[import-untyped]

from pipeline.bench.simulation.broker import SimulatedBroker
from pipeline.bench.simulation.log import Headers
from pipeline.bench.simulation.loop import LIFE
from pipeline.bench.simulation.transactions import Place

# Two owners could otherwise never wait for a transaction to be ended: a session ends sooner, and fences.
SOONER = 2
Record = tuple[bytes | None, bytes | None, Headers]


class SimulatedProducer:
    """Takes aiokafka's options, and heeds those that decide what is lost, told twice, or refused."""

    def __init__(
        self, broker: SimulatedBroker, *, transactional_id: str | None = None, transaction_timeout_ms: int = 0, **_: Any
    ) -> None:
        self._broker = broker
        self._name = transactional_id
        self._timeout = transaction_timeout_ms / 1000 / broker.pace.hurry / SOONER
        self._epoch = -1
        self._state = "new"
        self._added: dict[Place, None] = {}
        self._sent: list[asyncio.Future[Any]] = []
        self._waiting: list[tuple[Place, Record, asyncio.Future[Any]]] = []
        self._sender: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """InitProducerId, where there is a transactional id: whoever had it is fenced when this returns."""
        if self._name is not None:
            name = self._name
            await self._broker.hold_up(name)
            _, self._epoch = await self._broker.ask_until_free(lambda: self._broker.coordinator.init(name))
        self._state = "ready"

    async def stop(self) -> None:
        """Send what waits; an open transaction is left to its time."""
        if self._sent:
            await asyncio.wait(self._sent)
        self._state = "stopped"

    async def __aenter__(self) -> "SimulatedProducer":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def send(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: Any = None,
    ) -> "asyncio.Future[Any]":
        """Hand a record over; the future is done when the broker has it."""
        self._check()
        if self._name is not None and self._state != "open":
            raise IllegalOperation("Can't send messages while not in transaction")
        if partition is None:
            raise ValueError("partitions are explicit")
        future: asyncio.Future[Any] = self._broker.loop.create_future()
        self._sent = [each for each in self._sent if not each.done()] + [future]
        self._waiting.append(((topic, partition), (key, value, tuple(headers or ())), future))
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send_all())
        return future

    async def send_and_wait(self, topic: str, value: bytes | None = None, *given: Any, **named: Any) -> Any:
        """The same, and wait until the broker has it."""
        return await (await self.send(topic, value, *given, **named))

    async def _send_all(self) -> None:
        """One request per partition at a time, as idempotence asks; partitions side by side."""
        while self._waiting:
            batch, self._waiting = self._waiting, []
            by_place: dict[Place, list[tuple[Record, asyncio.Future[Any]]]] = {}
            for place, record, future in batch:
                by_place.setdefault(place, []).append((record, future))
            try:
                await self._add(by_place)
            except ProducerFenced as fenced:
                self._fail([future for _, _, future in batch], fenced)
                return
            await asyncio.gather(*(self._produce(place, records) for place, records in by_place.items()))

    async def _add(self, places: Mapping[Place, object]) -> None:
        fresh = {place: self._broker.partitions[place] for place in places if place not in self._added}
        if self._name is None or not fresh:
            return
        name = self._name
        await self._broker.ask_until_free(
            lambda: self._broker.coordinator.add(name, self._epoch, dict(fresh), self._timeout)
        )
        self._added |= dict.fromkeys(fresh)

    async def _produce(self, place: Place, records: list[tuple[Record, "asyncio.Future[Any]"]]) -> None:
        def append() -> None:
            producer = None
            if self._name is not None:
                producer = self._broker.coordinator.check_append(self._name, self._epoch, place)
            for record, _ in records:
                self._broker.append(place, record, producer)

        try:
            await self._broker.ask(append)
        except ProducerFenced as fenced:
            self._fail([future for _, future in records], fenced)
            return
        for _, future in records:
            if not future.done():
                future.set_result(None)

    def _fail(self, futures: list["asyncio.Future[Any]"], error: Exception) -> None:
        self._state = "fatal"
        for future in futures:
            if not future.done():
                future.set_exception(error)
                future.exception()  # whoever waits for it hears it; nobody has to

    def transaction(self) -> Any:
        """A context: committed at its end, aborted where it raises."""
        return self._transaction()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator["SimulatedProducer"]:
        await self.begin_transaction()
        try:
            yield self
        except BaseException:
            if self._state != "fatal":
                await self.abort_transaction()
            raise
        await self.commit_transaction()

    async def begin_transaction(self) -> None:
        self._check()
        if self._state != "ready":
            raise AssertionError(f"Invalid state transition {self._state} -> open")
        self._state, self._added = "open", {}
        self._offsets = False

    async def send_offsets_to_transaction(self, offsets: Mapping[Any, Any], group: str) -> None:
        """Commit offsets of a group with the transaction."""
        self._check()
        if self._state != "open" or self._name is None:
            raise IllegalOperation("Not in the middle of a transaction")
        name, places = self._name, {(tp.topic, tp.partition): each.offset for tp, each in offsets.items()}
        self._offsets = True
        await self._fatal_if_fenced(
            lambda: self._broker.coordinator.add_offsets(name, self._epoch, group, places, self._timeout)
        )

    async def commit_transaction(self) -> None:
        await self._end(commit=True)

    async def abort_transaction(self) -> None:
        await self._end(commit=False)

    async def _end(self, *, commit: bool) -> None:
        self._check()
        if self._state == "fatal":
            raise ProducerFenced
        if self._state != "open" or self._name is None:
            raise AssertionError(f"Invalid state transition {self._state} -> ending")
        if self._sent:
            await asyncio.wait(self._sent)
        if self._state == "fatal":
            raise ProducerFenced
        name = self._name
        if self._added or self._offsets:
            await self._fatal_if_fenced(lambda: self._broker.coordinator.end(name, self._epoch, commit=commit))
        self._state = "ready"

    async def _fatal_if_fenced(self, effect: Any) -> None:
        try:
            await self._broker.ask_until_free(effect)
        except ProducerFenced:
            self._state = "fatal"
            raise

    def _check(self) -> None:
        life = LIFE.get()
        if life is not None:
            life.check()
