"""One stage at work on what was read from a partition: in portions, each with its outbox, suspects alone."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Generic, TypeVar

from pipeline.changes import Put
from pipeline.codec import Received, Unusable
from pipeline.records import Frame
from pipeline.shell.attempts import MOST, Attempts
from pipeline.shell.outbox import Outbox, outbox
from pipeline.shell.replay import Replay
from pipeline.stages.contract import Obliged, Output, Stage
from pipeline.topology import Deployment

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]
S = TypeVar("S", bound=Stage[Any, Any], covariant=True)


@dataclass(frozen=True, slots=True)
class Portion:
    """The state after some of the inputs, what they cause, and the offset to go on from."""

    state: Any
    outbox: Outbox
    next_offset: int


Step = Callable[[Any], Portion]


@dataclass(frozen=True, slots=True)
class Desk(Generic[S]):
    """What both shells do between reading and writing.

    What is yielded is prepared, and waits to be taken into account, in the state as it is by then. A portion is in
    hand, as `attempts` notes, from before the stage sees it until the shell asks for the next one:
    so the shell must have the broker's word for a portion's outbox before it goes on. Partitions work side by side,
    unless there is a suspect: one of theirs in hand would die with it, and be condemned with it.
    """

    stage: S
    deployment: Deployment
    attempts: Attempts
    clock: Clock
    replay: Replay
    _alone: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, repr=False)

    async def work(self, partition: int, inputs: Sequence[Received | Unusable]) -> AsyncIterator[Step]:
        """Take `inputs` of one partition, in order of their offsets."""
        sizes = self.attempts.portions(partition, [each.offset for each in inputs])
        start = 0
        for size in sizes:
            taken = inputs[start : start + size]
            start += size
            alone = self.attempts.suspects
            if alone:
                await self._alone.acquire()
            self.attempts.begin(partition, [each.offset for each in taken])
            yield await self._prepared(partition, taken)
            self.attempts.done(partition)
            # Not where it raised: nobody else may begin while this process is about to end.
            if alone:
                self._alone.release()

    async def _prepared(self, partition: int, taken: Sequence[Received | Unusable]) -> Step:
        good = [each for each in taken if isinstance(each, Received)]
        if not good or self._is_condemned(taken[0]):
            return partial(self._passed_over, partition, taken)
        prepared = await asyncio.to_thread(self.stage.prepare, good)
        return partial(self._stepped, partition, taken, prepared)

    def _is_condemned(self, suspect: Received | Unusable) -> bool:
        deaths = self.attempts.deaths(suspect.partition, suspect.offset)
        if deaths < MOST or isinstance(suspect, Unusable):
            return False
        stage: object = self.stage
        if not isinstance(stage, Obliged) or stage.may_pass_over(suspect):
            return True
        log.error(
            "%s/%d at offset %d was in hand at %d ends of this process, and may not be passed over: it is tried again, "
            "and what comes after it waits",
            suspect.topic.name,
            suspect.partition,
            suspect.offset,
            deaths,
        )
        return False

    def _passed_over(self, partition: int, taken: Sequence[Received | Unusable], state: Any) -> Portion:
        stage: object = self.stage
        outputs: list[Output | Unusable] = []
        for each in taken:
            outputs.append(each if isinstance(each, Unusable) else _condemned(each))
            if isinstance(each, Received) and isinstance(stage, Obliged):
                state, owed = stage.pass_over(state, each, self.clock())
                outputs += owed
        return self._portion(partition, taken, state, outputs)

    def _stepped(self, partition: int, taken: Sequence[Received | Unusable], prepared: Any, state: Any) -> Portion:
        state, caused = self.stage.step(state, prepared, self.clock())
        unusable = [each for each in taken if isinstance(each, Unusable)]
        return self._portion(partition, taken, state, [*unusable, *caused])

    def _portion(
        self, partition: int, taken: Sequence[Received | Unusable], state: Any, outputs: Sequence[Output | Unusable]
    ) -> Portion:
        attempts = max(self.attempts.deaths(partition, taken[0].offset), 1)
        box = outbox(self.deployment, partition, outputs, self.clock(), attempts=attempts)
        return Portion(state, box, taken[-1].offset + 1)


def _condemned(received: Received) -> Unusable:
    value = received.change.value if isinstance(received.change, Put) else None
    return Unusable(
        received.topic,
        received.partition,
        received.offset,
        f"the process ended {MOST} times with this record in hand",
        frame=value.id if isinstance(value, Frame) else None,
    )
