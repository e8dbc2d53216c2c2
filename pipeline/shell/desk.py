"""One stage at work on what was read from a partition: in portions, each with its outbox, suspects alone."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from pipeline.changes import Put
from pipeline.codec import Received, Unusable
from pipeline.records import Frame
from pipeline.shell.attempts import MOST, Attempts
from pipeline.shell.outbox import Outbox, outbox
from pipeline.shell.replay import Replay
from pipeline.stages.contract import Output, Stage
from pipeline.topology import Deployment

Clock = Callable[[], datetime]
S = TypeVar("S", bound=Stage[Any, Any], covariant=True)


@dataclass(frozen=True, slots=True)
class Portion:
    """The state after some of the inputs, what they cause, and the offset to go on from."""

    state: Any
    outbox: Outbox
    next_offset: int


@dataclass(frozen=True, slots=True)
class Desk(Generic[S]):
    """What both shells do between reading and writing.

    A portion is in hand, as `attempts` notes, from before the stage sees it until the shell asks for the next one:
    so the shell must have the broker's word for a portion's outbox before it goes on. Partitions work side by side,
    unless there is a suspect: one of theirs in hand would die with it, and be condemned with it.
    """

    stage: S
    deployment: Deployment
    attempts: Attempts
    clock: Clock
    replay: Replay
    _alone: asyncio.Lock = field(default_factory=asyncio.Lock, init=False, repr=False)

    async def work(self, partition: int, state: Any, inputs: Sequence[Received | Unusable]) -> AsyncIterator[Portion]:
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
            portion = await self._portion(partition, state, taken)
            state = portion.state
            yield portion
            self.attempts.done(partition)
            # Not where it raised: nobody else may begin while this process is about to end.
            if alone:
                self._alone.release()

    async def _portion(self, partition: int, state: Any, taken: Sequence[Received | Unusable]) -> Portion:
        deaths = self.attempts.deaths(partition, taken[0].offset)
        outputs: list[Output | Unusable] = [each for each in taken if isinstance(each, Unusable)]
        good = [each for each in taken if isinstance(each, Received)]
        if good and deaths >= MOST:
            outputs += [_condemned(each) for each in good]
        elif good:
            prepared = await asyncio.to_thread(self.stage.prepare, good)
            state, caused = self.stage.step(state, prepared, self.clock())
            outputs += caused
        box = outbox(self.deployment, partition, outputs, self.clock(), attempts=max(deaths, 1))
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
