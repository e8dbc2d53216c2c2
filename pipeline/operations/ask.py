"""Ask `control` for a change, and wait for its outcome."""

import asyncio
from collections import defaultdict
from itertools import chain
from typing import Any, Protocol

from pipeline import codec
from pipeline.changes import Put
from pipeline.codec import Received
from pipeline.operations import Refused, Unanswered
from pipeline.records import AnyCommand, Operation
from pipeline.topology import COMMANDS, OPERATIONS, Deployment

ANSWER_SECONDS = 30.0


class Producer(Protocol):
    """What asking needs of an idempotent Kafka producer (`connectors.kafka.producer`), started by whoever owns it."""

    async def send_and_wait(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: Any = None,
    ) -> Any: ...


class Asker:
    """Sends commands and hears their outcomes.

    Whoever owns it feeds it with a view of `operations` by `apply`, from before the first `ask` on: then the outcome
    cannot pass unseen, and a repeated request finds its first one.
    """

    def __init__(self, producer: Producer, deployment: Deployment, *, timeout: float = ANSWER_SECONDS) -> None:
        self._producer = producer
        self._deployment = deployment
        self._timeout = timeout
        self._outcomes: dict[str, Operation] = {}
        self._waiting: dict[str, set[asyncio.Future[Operation | BaseException]]] = defaultdict(set)
        self._ended: BaseException | None = None

    def apply(self, received: Received) -> None:
        """Learn from one record; those of other topics than `operations` are not for us."""
        if received.topic is not OPERATIONS:
            return
        if not isinstance(received.change, Put):
            self._outcomes.pop(received.change.key, None)
            return
        told: Operation = received.change.value
        if told.outcome == "erasing":
            return
        self._forget_older_than_topic(told)
        self._outcomes[told.operation_id] = told
        for waiting in self._waiting.get(told.operation_id, ()):
            if not waiting.done():
                waiting.set_result(told)

    def _forget_older_than_topic(self, newest: Operation) -> None:
        """Retention deletes without a tombstone: what the topic no longer has, a long-lived asker must drop itself."""
        for operation_id, operation in list(self._outcomes.items()):
            if (newest.finished - operation.finished).total_seconds() * 1000 <= OPERATIONS.retention_ms:
                break
            del self._outcomes[operation_id]

    def fail(self, error: BaseException) -> None:
        """The view of `operations` has ended: everybody who waits learns why."""
        self._ended = error
        for waiting in chain.from_iterable(self._waiting.values()):
            if not waiting.done():
                waiting.set_result(error)

    @property
    def ended(self) -> BaseException | None:
        """What ended the view of `operations`: nobody is answered any more. None while it lives."""
        return self._ended

    def outcome(self, operation_id: str) -> Operation | None:
        """What came of an earlier request, None where nothing is known of it; Refused when it was refused."""
        known = self._outcomes.get(operation_id)
        return None if known is None else _succeeded(known)

    def known(self, operation_id: str) -> Operation | None:
        """What came of an earlier request, refused or not; None where nothing is known of it."""
        return self._outcomes.get(operation_id)

    async def ask(self, command: AnyCommand) -> Operation:
        """Have `command` carried out; raises Refused with the reason, Unanswered when nobody answers in time."""
        if (known := self.outcome(command.operation_id)) is not None:
            return known
        if self._ended is not None:
            raise self._ended
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._answer(command)
        except TimeoutError:
            raise Unanswered(
                f"no answer to {type(command).__name__} within {self._timeout:g} s: the control stage may be down; "
                "see `faceline status`, the command waits in Kafka until it is back"
            ) from None
        if isinstance(answer, BaseException):
            raise answer
        return _succeeded(answer)

    async def _answer(self, command: AnyCommand) -> Operation | BaseException:
        waiting: asyncio.Future[Operation | BaseException] = asyncio.get_running_loop().create_future()
        self._waiting[command.operation_id].add(waiting)
        try:
            await self._send(command)
            return await waiting
        finally:
            self._waiting[command.operation_id].discard(waiting)
            if not self._waiting[command.operation_id]:
                del self._waiting[command.operation_id]

    async def _send(self, command: AnyCommand) -> None:
        wire = codec.encode(COMMANDS, Put(command.scope, command))
        await self._producer.send_and_wait(
            self._deployment.name(COMMANDS),
            value=wire.value,
            key=wire.key,
            partition=self._deployment.scale.of_scope(command.scope),
            headers=list(wire.headers),
        )


def _succeeded(operation: Operation) -> Operation:
    if operation.outcome == "failed":
        raise Refused(operation.message, operation.code)
    return operation
