"""Runs everything of one machine: starts it in order, keeps it alive, says who runs where, and ends it in order."""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self, TypeVar

import psutil

from pipeline.home import Home, Process, Running
from pipeline.machine.preparation import prepared
from pipeline.machine.programs import Machine, machine
from pipeline.machine.supervised import Service, Supervised
from pipeline.settings import Settings

log = logging.getLogger(__name__)

Progress = Callable[[str, float], None]
Result = TypeVar("Result")

KAFKA = "kafka"
MILVUS = "milvus"


def _silent(step: str, seconds: float) -> None:
    """Nobody watches."""


class Supervisor:
    """A deployment while it runs: `async with Supervisor(home, settings) as running`.

    Entering starts Kafka, topics, Milvus, models and programs, telling `progress` every finished step and its seconds;
    what prevents it is raised (HomeError for a second supervisor, ServiceRefused, ServiceUnavailable, a model's error)
    after everything that ran has ended. From then on whatever ends is started again, until leaving ends it all:
    programs first, then Milvus, then Kafka. One event loop may use it.
    """

    def __init__(
        self, home: Home, settings: Settings, *, progress: Progress = _silent, parts: Machine | None = None
    ) -> None:
        self._home = home
        self._progress = progress
        self._parts = machine(home, settings) if parts is None else parts
        self._kept: dict[str, Supervised] = {}
        self._addresses = (self._parts.bootstrap, self._parts.milvus_uri)
        self._ready = False
        self._moving: asyncio.Task[None] | None = None
        self._cleanup = AsyncExitStack()
        self._started = psutil.Process().create_time()

    @property
    def bootstrap(self) -> str:
        """Where Kafka is, "host:port"."""
        return self._addresses[0]

    @property
    def milvus_uri(self) -> str:
        """Where Milvus is."""
        return self._addresses[1]

    def pids(self) -> dict[str, int]:
        """The processes that live now, by name: "kafka", "milvus", the stages, "capture-<camera>"."""
        found = {name: kept.service.pid for name, kept in self._kept.items()}
        return {name: pid for name, pid in found.items() if pid is not None}

    def restarts(self) -> dict[str, int]:
        """How often each process was started again."""
        return {name: kept.restarts for name, kept in self._kept.items()}

    async def start(self, name: str) -> None:
        """Start a process that `stop` ended; KeyError for a name that is not in `restarts()`."""
        await self._kept[name].start()

    async def stop(self, name: str) -> None:
        """End a process and leave it ended."""
        await self._kept[name].stop()

    def kill(self, name: str) -> None:
        """SIGKILL a process; it is started again as after any other death."""
        self._kept[name].kill()

    async def add(self, stage: str, instance: str) -> str:
        """Start one more worker of a stage; returns its name, "<stage>-<instance>"."""
        name = f"{stage}-{instance}"
        await self._keep(name, self._parts.another(stage, instance))
        return name

    async def __aenter__(self) -> Self:
        try:
            self._cleanup.enter_context(self._home.owned())
            await self._start_services()
            await self._start_programs()
            self._ready = True
            self._record()
        except BaseException:
            await self._leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave()

    async def _start_services(self) -> None:
        parts = self._parts
        self._record()
        if parts.kafka is not None:
            broker = await self._step("fetch and verify Kafka", prepared(parts.kafka))
            await self._step("start Kafka", self._keep(KAFKA, broker))
        for line in await self._step("create the topics", prepared(parts.prepare_topics)):
            log.warning("left alone: %s", line)
        if parts.milvus is not None:
            index = await prepared(parts.milvus)
            await self._step("start Milvus", self._keep(MILVUS, index))
        await self._step("prepare the models", prepared(parts.prepare_models))

    async def _start_programs(self) -> None:
        # Left in reverse order: whatever was added later, and every program, ends before the services do.
        self._cleanup.push_async_callback(self._stop_programs)
        starting = [self._keep(name, program) for name, program in self._parts.programs.items()]
        await self._step("start the workers", asyncio.gather(*starting))

    async def _keep(self, name: str, service: Service) -> None:
        kept = Supervised(name, service, self._record, finishes=name in self._parts.finishing)
        self._kept[name] = kept
        if name in (KAFKA, MILVUS):
            self._cleanup.push_async_callback(kept.stop)
        await kept.start()

    async def _step(self, name: str, work: Awaitable[Result]) -> Result:
        began = time.monotonic()
        result = await work
        self._progress(name, time.monotonic() - began)
        return result

    def _programs(self) -> Iterable[Supervised]:
        return [kept for name, kept in self._kept.items() if name not in (KAFKA, MILVUS)]

    async def _stop_programs(self) -> None:
        await asyncio.gather(*(kept.stop() for kept in self._programs()), return_exceptions=True)

    async def _leave(self) -> None:
        self._ready = False
        if self._moving is not None:
            self._moving.cancel()
            await asyncio.gather(self._moving, return_exceptions=True)
        await self._cleanup.aclose()

    def _record(self) -> None:
        """Say in the home who runs where; programs that were told another address are started again."""
        before, self._addresses = (
            self._addresses,
            (
                self._address(KAFKA, self._addresses[0]),
                self._address(MILVUS, self._addresses[1]),
            ),
        )
        restarts = self.restarts()
        processes = {name: Process(pid, restarts=restarts[name]) for name, pid in self.pids().items()}
        running = Running(os.getpid(), self._started, *self._addresses, processes, ready=self._ready)
        try:
            self._home.record(running)
        except OSError as error:
            # A full disk must not end the watch over what still runs.
            log.error("cannot say in %s who runs: %s", self._home.path, error.strerror)  # noqa: TRY400
        if self._ready and before != self._addresses:
            log.warning("Kafka or Milvus came back at another address; starting the workers again")
            self._moving = asyncio.create_task(self._move_programs())

    def _address(self, name: str, present: str) -> str:
        kept = self._kept.get(name)
        return present if kept is None or kept.address is None else str(kept.address)

    async def _move_programs(self) -> None:
        await self._stop_programs()
        await asyncio.gather(*(kept.start() for kept in self._programs()))
