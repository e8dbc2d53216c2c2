"""Blows at random moments: a process is killed, or identify hangs; and how soon each of them is made up for."""

import asyncio
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal

import numpy as np

from pipeline.bench.audit import Audit
from pipeline.bench.deployment import Deployed, until
from pipeline.bench.gallery import indexed
from pipeline.machine.supervisor import KAFKA, MILVUS
from pipeline.operations.client import Client
from pipeline.topology import STAGES

AGAIN_SECONDS = 120.0
HANG_SECONDS = (4.0, 8.0)  # drawn evenly; more than the eraser's patience of 3 s, so that it fences
PAUSE_SHARE = (0.5, 1.5)  # of the mean time between two blows, drawn evenly
# After a blow is made up for, this long its traces are looked for in what is asked.
AFTERMATH = timedelta(seconds=3)

Company = Literal["none", "hung", "down"]


@dataclass(frozen=True, slots=True)
class Blow:
    """What happens to a process: it is killed, or it `hangs`."""

    process: str
    hangs: bool = False

    def __str__(self) -> str:
        return f"{self.process} hung" if self.hangs else f"{self.process} killed"


HANG = Blow("identify", hangs=True)
EVERY: tuple[Blow, ...] = (*(Blow(name) for name in (*STAGES, KAFKA, MILVUS)), HANG)


@dataclass(frozen=True, slots=True)
class Struck:
    """A blow, from when to when it was felt; `seconds` from the kill, or from when it hung no more, to a result."""

    blow: Blow
    began: datetime
    ended: datetime
    seconds: float


def company(struck: Sequence[Struck], began: datetime, ended: datetime) -> Company:
    """What was going on between two moments, or shortly before: nothing, identify hung, or a process was down."""
    felt = [each for each in struck if each.began <= ended and began <= each.ended + AFTERMATH]
    if not felt:
        return "none"
    return "hung" if all(each.blow.hangs for each in felt) else "down"


@dataclass(slots=True)
class Blows:
    """Strikes one blow after the other, each kind as often as any other, in an order drawn at random."""

    deployment: Deployed
    client: Client
    audit: Audit
    kinds: Sequence[Blow]
    per_minute: float
    random: np.random.Generator
    struck: list[Struck] = field(default_factory=list)

    @property
    def all_met(self) -> bool:
        """Whether every kind was struck once, or none is wanted."""
        return not self.per_minute or {each.blow for each in self.struck} >= set(self.kinds)

    async def strike(self, enough: asyncio.Event) -> None:
        """Go on until `enough` is set; Unanswered where a blow is not made up for."""
        if not self.per_minute:
            return
        for blow in self._drawn():
            with suppress(TimeoutError):
                await asyncio.wait_for(enough.wait(), self.random.uniform(*PAUSE_SHARE) * 60 / self.per_minute)
            if enough.is_set():
                return
            self.deployment.bench.tell(f"blow {len(self.struck) + 1}: {blow}")
            self.struck.append(await (self._hung(blow) if blow.hangs else self._killed(blow)))

    def _drawn(self) -> Iterator[Blow]:
        while True:
            for place in self.random.permutation(len(self.kinds)):
                blow = self.kinds[place]
                # Nobody could tell that it works again before the first face ends.
                if blow.process != "expire" or self.audit.times["expire"]:
                    yield blow

    async def _killed(self, blow: Blow) -> Struck:
        running, process = self.deployment.running, blow.process
        before, began = await self._running(process), datetime.now(UTC)
        running.kill(process)
        await until(lambda: running.pids().get(process, before) != before, f"{process} to start again", AGAIN_SECONDS)
        ended = await self._works(process, datetime.now(UTC))
        return Struck(blow, began, ended, (ended - began) / timedelta(seconds=1))

    async def _hung(self, blow: Blow) -> Struck:
        pid, began = await self._running(blow.process), datetime.now(UTC)
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(self.random.uniform(*HANG_SECONDS))
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        continued = datetime.now(UTC)
        ended = await self._works(blow.process, continued)
        return Struck(blow, began, ended, (ended - continued) / timedelta(seconds=1))

    async def _running(self, process: str) -> int:
        """The process that is to be struck: one that an earlier blow has ended as well may not be back yet."""
        running = self.deployment.running
        await until(lambda: process in running.pids(), f"{process} to be back", AGAIN_SECONDS)
        return running.pids()[process]

    async def _works(self, process: str, reborn: datetime) -> datetime:
        """When the broker first had a result of the process from after that moment."""
        if process == "enrol":
            await indexed(self.deployment, self.client)
            return datetime.now(UTC)
        stage = "identify" if process in (KAFKA, MILVUS) else process
        await until(lambda: self.audit.first(stage, reborn) is not None, f"a result of {stage}", AGAIN_SECONDS)
        return self.audit.first(stage, reborn) or reborn
