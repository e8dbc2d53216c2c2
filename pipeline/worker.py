"""The shell of stages whose state may be lost, on Faust; the only file that imports it.

Take a batch without acknowledging, let the stage work, publish, wait for the broker's word, then acknowledge in
order. Faust acknowledges a batch that raised, restarts a failed agent behind the failing message, and with more than
one coroutine per agent commits past work in flight: so we take without acknowledgement, run one, and let any
exception end the process before the acknowledgement.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faust
from faust.tables import TableManager
from faust.transport.drivers.aiokafka import Consumer
from faust.types import TP

from connectors import kafka
from connectors.kafka import KafkaAccess
from connectors.kafka_headers import read_any_header_name
from connectors.kafka_leaving import leaves_at_stop
from pipeline.codec import receive
from pipeline.shell.desk import Desk
from pipeline.shell.meter import Meter
from pipeline.shell.outbox import KeyShredder, Outbox
from pipeline.stages.contract import Stage

# `within` is a tick of Faust's that costs half of itself in latency.
WITHIN_S = 0.005
# Small buffers stall Faust up to tenfold; these many messages are held in memory at most.
BUFFER = {"frames": 512}
BUFFER_OTHERS = 4096


class _NoTables(TableManager):
    """Faust's tables, of which no stage has any."""

    async def sleep(self, n: object) -> None:
        """Wait for nothing: Faust leaves its tables a second to register before it joins the group."""
        await asyncio.sleep(0)


class _Consumer(Consumer):
    """Commits what the shell has finished, in place of what Faust works out from acknowledgements.

    Faust counts the record behind each transaction's marker twice and passes only one such place per commit; and it
    can lose an acknowledgement at a rebalance, after which it commits nothing more.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.finished: dict[TP, int] = {}

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return iter(self.finished if topics is None else [tp for tp in self.finished if {tp, tp.topic} & topics])

    def _new_offset(self, tp: TP) -> int | None:
        self._acked.pop(tp, None)
        self._acked_index.pop(tp, None)
        return self.finished.get(tp)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Remember none: a gap is behind us when the record after it is finished."""


@dataclass(frozen=True, slots=True)
class _Record:
    """A Faust event, as the codec reads records; `headers` is a dict there, so repeated names collapse."""

    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Iterable[tuple[str, bytes]]


def _record(event: Any) -> _Record:
    message = event.message
    headers = tuple((event.headers or {}).items())
    return _Record(message.partition, message.offset, round(message.timestamp * 1000), event.key, event.value, headers)


class Worker:
    """Runs one stage on the partitions that its group assigns."""

    def __init__(
        self,
        desk: Desk[Stage[Any, Any]],
        access: KafkaAccess,
        shredder: KeyShredder,
        meter: Meter,
        *,
        instance: str,
        folder: Path,
    ) -> None:
        self._desk = desk
        self._access = access
        self._shredder = shredder
        self._meter = meter
        self._states: dict[int, Any] = {}
        self._topic = desk.stage.node.input
        self._name = desk.deployment.name(self._topic)
        self._failure: asyncio.Future[None] | None = None
        self._app = self._faust(instance, folder)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; raises whatever went wrong, after which the process must end."""
        self._failure = asyncio.get_running_loop().create_future()
        self._producer = kafka.producer(self._access)
        await self._producer.start()
        self._app.in_worker = True
        await self._app.start()
        ends = [
            asyncio.create_task(self._app.wait_until_stopped()),
            asyncio.create_task(stop.wait()),
            self._failure,
        ]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if self._failure.done():
            self._failure.result()
        if self._app.crash_reason is not None:
            raise self._app.crash_reason
        leaves_at_stop(self._app.consumer._thread._consumer)
        await self._app.stop()
        await self._producer.stop()

    def _faust(self, instance: str, folder: Path) -> Any:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        read_any_header_name()
        app = faust.App(
            self._desk.deployment.group(self._desk.stage.node),
            broker=[f"kafka://{host}" for host in self._access.bootstrap.split(",")],
            broker_credentials=_credentials(self._access),
            datadir=str(folder),
            store="memory://",
            TableManager=_NoTables,
            key_serializer="raw",
            value_serializer="raw",
            web_enabled=False,
            topic_disable_leader=True,
            topic_allow_declare=False,
            consumer_auto_offset_reset="earliest",
            consumer_max_fetch_size=8 << 20,
            consumer_group_instance_id=instance,
            broker_session_timeout=kafka.SESSION_MS / 1000,
            broker_heartbeat_interval=kafka.HEARTBEAT_MS / 1000,
            broker_commit_interval=0.5,
            stream_wait_empty=False,
            stream_buffer_maxsize=BUFFER.get(self._topic.name, BUFFER_OTHERS),
            broker_max_poll_records=64 if self._topic.name in BUFFER else 500,
        )
        # Each transport is one app's own.
        app.transport.Consumer = _Consumer  # type: ignore[misc]
        source = app.topic(
            self._name,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            allow_empty=True,
        )
        app.agent(source, concurrency=1)(self._agent)
        app.on_partitions_revoked.connect(self._revoked)
        return app

    async def _revoked(self, *_: Any, **__: Any) -> None:
        # All of them: a rebalance takes every partition back before it gives any, and a batch in work keeps the old.
        self._states = {}
        self._app.consumer.finished.clear()

    async def _agent(self, stream: Any) -> None:
        try:
            async for events in stream.noack_take(self._desk.stage.batch, within=WITHIN_S):
                await self._take(events)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            # Faust would restart the agent behind the failing batch: this one never returns.
            if self._failure is not None and not self._failure.done():
                self._failure.set_exception(error)
            await asyncio.Event().wait()

    async def _take(self, events: Iterable[Any]) -> None:
        by_partition: dict[int, list[Any]] = defaultdict(list)
        for event in events:
            by_partition[event.message.partition].append(event)
        for partition, in_hand in by_partition.items():
            # What a rebalance took away while it waited here is its new owner's to read.
            if self._is_ours(partition):
                await self._take_from(partition, in_hand)

    def _is_ours(self, partition: int) -> bool:
        return TP(self._name, partition) in self._app.consumer.assignment()

    async def _take_from(self, partition: int, events: Sequence[Any]) -> None:
        states, waiting = self._states, deque(events)
        if partition not in states:
            states[partition] = await self._desk.replay(self._desk.stage, partition)
        work = self._desk.work(partition, [receive(self._topic, _record(each)) for each in events])
        async for step in self._meter.timed(work, len(events)):
            portion = step(states[partition])
            await self._publish(portion.outbox)
            states[partition] = portion.state
            while waiting and waiting[0].message.offset < portion.next_offset:
                waiting.popleft().ack()
            self._app.consumer.finished[TP(self._name, partition)] = portion.next_offset
            if portion.outbox.dead_letters:
                # It may have cost three lives, which nobody pays twice. A commit that finds another one under way
                # does no more than wait for it.
                await self._app.consumer.commit() or await self._app.consumer.commit()
        end = self._app.consumer.highwater(TP(self._name, partition)) if self._is_ours(partition) else None
        if end is not None:
            self._meter.lags(partition, end - events[-1].message.offset - 1)

    async def _publish(self, box: Outbox) -> None:
        if box.kids or box.expired_at:
            await asyncio.to_thread(box.destroy_keys, self._shredder)
        sent = [await self._producer.send(**each.arguments()) for each in box.records]
        await asyncio.gather(*sent)
        self._meter.wrote(box, self._desk.clock())


def _credentials(access: KafkaAccess) -> Any:
    """Faust's spelling of how to prove who we are; None for a plain connection."""
    if access.uses_sasl:
        return faust.SASLCredentials(
            username=access.username,
            password=access.password,
            mechanism=access.sasl_mechanism,
            ssl_context=access.ssl_context(),
        )
    return faust.SSLCredentials(context=access.ssl_context()) if access.uses_tls else None
