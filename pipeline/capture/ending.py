"""A process that is asked to end must not be found waiting, whatever it waits for."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

Result = TypeVar("Result")

UNWINDING = 0.2  # seconds a cancelled task may take to clean up


class Stopped(Exception):
    """The process was asked to end."""


class Ending:
    """Lets work run until `stop` is set."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop

    async def unless(
        self, work: Coroutine[Any, Any, Result], *, beside: Iterable[asyncio.Task[Any]] = (), grace: float = 0.0
    ) -> Result:
        """The result of `work`; Stopped where the end comes first, and `grace` seconds were not enough after it.

        `beside` are endless tasks that the work depends on: what one of them raises is raised here.
        """
        beside = tuple(beside)
        task = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({task, stopping, *beside}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done() and stopping.done() and grace:
                await asyncio.wait({task, *beside}, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
            for failed in (each for each in beside if each.done()):
                failed.result()
            if task.done():
                return task.result()
            raise Stopped
        finally:
            stopping.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=UNWINDING)
