"""One part of a deployment that is kept alive: started, watched, started again when it ends, and ended on request."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from connectors.child import Child

log = logging.getLogger(__name__)

FIRST_DELAY = 0.1
LONGEST_DELAY = 30.0
STABLE_SECONDS = 60.0
GRACE_SECONDS = 5.0
# Whoever was ended from outside did not fail by itself, and need not be waited for.
FROM_OUTSIDE = frozenset({128 + signal.SIGKILL, 128 + signal.SIGTERM})


class Service(Protocol):
    """Something that runs in a process of its own, and can be started again after it ended."""

    @property
    def pid(self) -> int | None: ...

    async def start(self) -> object:
        """Start it; where it has an address, return it."""
        ...

    async def stop(self) -> None: ...

    async def wait(self) -> int: ...


class Backoff:
    """How long to wait before the next start: doubling from 0.1 s to 30 s, afresh after a minute of life."""

    def __init__(self) -> None:
        self._delay = FIRST_DELAY

    def after(self, lived: float, status: int = 1) -> float:
        """Seconds to wait after a life of `lived` seconds that ended with this exit status."""
        if status in FROM_OUTSIDE:
            return FIRST_DELAY
        if lived >= STABLE_SECONDS:
            self._delay = FIRST_DELAY
        delay, self._delay = self._delay, min(2 * self._delay, LONGEST_DELAY)
        return delay


class Program:
    """A command as a service: a fresh child every time, its output appended to `log_file`, its scratch in `temp`."""

    def __init__(self, command: Sequence[str], log_file: Path, temp: Path) -> None:
        self._command = tuple(command)
        self._log_file = log_file
        self._temp = temp
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        """The command's own process, not its guardian's."""
        return None if self._child is None else self._child.command_pid

    async def start(self) -> None:
        """Start the command and return once it has a pid, or has already ended."""
        self._child = Child(self._command, log=self._log_file, grace=GRACE_SECONDS, temp=self._temp)
        await self._child.start()
        # The guardian starts the command in its own time, and nothing but the process table tells when.
        while self._child.running() and self.pid is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Ask it to end, kill it after five seconds."""
        if self._child is not None:
            await self._child.stop()

    async def wait(self) -> int:
        """Its exit status."""
        if self._child is None:
            raise RuntimeError("the program was never started: call start() first")
        return await self._child.wait()


class Supervised:
    """A service under watch. `finishes` says that an exit status of 0 means "done" and not "start me again"."""

    def __init__(self, name: str, service: Service, on_change: Callable[[], None], *, finishes: bool = False) -> None:
        self.name = name
        self.service = service
        self.restarts = 0
        self.address: object = None
        self._on_change = on_change
        self._finishes = finishes
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it for the first time, or again after `stop`; what prevents the start is raised."""
        self.address = await self.service.start()
        self._watch = asyncio.create_task(self._keep_alive(), name=f"keep {self.name} alive")
        self._on_change()

    async def stop(self) -> None:
        """End it and leave it ended."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None
        await self.service.stop()
        self._on_change()

    def kill(self) -> None:
        """SIGKILL its process; the watch starts it again."""
        pid = self.service.pid
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def _keep_alive(self) -> None:
        backoff = Backoff()
        while True:
            began = time.monotonic()
            status = await self.service.wait()
            if self._finishes and status == 0:
                log.info("%s is done", self.name)
                self._on_change()
                return
            delay = backoff.after(time.monotonic() - began, status)
            log.warning("%s ended with status %d; starting it again in %.1f s", self.name, status, delay)
            await asyncio.sleep(delay)
            await self._start_again(backoff)
            self.restarts += 1
            self._on_change()

    async def _start_again(self, backoff: Backoff) -> None:
        while True:
            try:
                self.address = await self.service.start()
            except Exception:
                # Whatever it is: a watch that gave up would leave the deployment without a part, and nobody told.
                delay = backoff.after(0.0)
                log.exception("%s cannot be started; trying again in %.1f s", self.name, delay)
                await asyncio.sleep(delay)
            else:
                return
