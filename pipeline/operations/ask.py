"""Ask `control` for a change, and wait for its outcome."""

import asyncio
from collections import defaultdict
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Protocol, TypeVar

from pipeline import codec
from pipeline.changes import Put
from pipeline.codec import Received
from pipeline.operations import Refused, Unanswered
from pipeline.records import AnyCommand, Deletion, Operation
from pipeline.topology import COMMANDS, OPERATIONS, Deployment

ANSWER_SECONDS = 30.0

Answer = Operation | BaseException
T = TypeVar("T")


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
        # Deletions that are not effective yet, and when the tables have forgotten.
        self._erasing: dict[str, datetime] = {}
        self._waiting: dict[str, set[asyncio.Future[Answer]]] = defaultdict(set)
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
            self._erasing[told.operation_id] = told.finished
            return
        self._erasing.pop(told.operation_id, None)
        self._forget_older_than_topic(told)
        self._outcomes[told.operation_id] = told
        for waiting in self._waiting.get(told.operation_id, ()):
            if not waiting.done():
                waiting.set_result(told)

    def _forget_older_than_topic(self, newest: Operation) -> None:
        """Retention deletes without a tombstone: what the topic no longer has, a long-lived asker must drop itself."""
        oldest = newest.finished - timedelta(milliseconds=OPERATIONS.retention_ms)
        for operation_id, operation in list(self._outcomes.items()):
            if operation.finished >= oldest:
                break
            del self._outcomes[operation_id]
        self._erasing = {operation_id: begun for operation_id, begun in self._erasing.items() if begun >= oldest}

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
        """Have `command` carried out; raises Refused with the reason, Unanswered when nobody answers in time.

        What a deletion does not find, another may just have begun to forget: it is refused once that one is effective.
        """
        answer = self._outcomes.get(command.operation_id)
        if answer is None:
            answer = await self._in_time(
                self._answer(command),
                f"no answer to {type(command).__name__} within {self._timeout:g} s: the control stage may be down; "
                "see `faceline status`, the command waits in Kafka until it is back",
            )
        if answer.outcome == "failed" and isinstance(command, Deletion):
            await self.effective()
        return _succeeded(answer)

    async def effective(self) -> None:
        """Wait until nobody can be named any more whom the tables have forgotten; Unanswered where that takes long."""
        await self._in_time(
            self._all_effective(),
            f"a deletion is not effective after {self._timeout:g} s: the erase stage may be down; "
            "see `faceline erase status`",
        )

    async def _all_effective(self) -> None:
        for operation_id in list(self._erasing):
            with self._hearing(operation_id) as heard:
                if operation_id in self._erasing:
                    _told(await heard)

    async def _in_time(self, work: Coroutine[Any, Any, T], why: str) -> T:
        try:
            async with asyncio.timeout(self._timeout):
                return await work
        except TimeoutError:
            raise Unanswered(why) from None

    async def _answer(self, command: AnyCommand) -> Operation:
        with self._hearing(command.operation_id) as heard:
            await self._send(command)
            return _told(await heard)

    @contextmanager
    def _hearing(self, operation_id: str) -> Iterator[asyncio.Future[Answer]]:
        """What is told of an operation from now on."""
        if self._ended is not None:
            raise self._ended
        heard: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[operation_id].add(heard)
        try:
            yield heard
        finally:
            self._waiting[operation_id].discard(heard)
            if not self._waiting[operation_id]:
                del self._waiting[operation_id]

    async def _send(self, command: AnyCommand) -> None:
        wire = codec.encode(COMMANDS, Put(command.scope, command))
        await self._producer.send_and_wait(
            self._deployment.name(COMMANDS),
            value=wire.value,
            key=wire.key,
            partition=self._deployment.scale.of_scope(command.scope),
            headers=list(wire.headers),
        )


def _told(answer: Answer) -> Operation:
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _succeeded(operation: Operation) -> Operation:
    if operation.outcome == "failed":
        raise Refused(operation.message, operation.code)
    return operation
