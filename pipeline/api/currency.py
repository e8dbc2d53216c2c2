"""How requests see tables that are current: one look at the topics' ends serves all who ask before it begins."""

import asyncio
from collections.abc import Awaitable, Callable

from pipeline.operations import Unanswered


class Currency:
    """`catch_up`, shared: whoever comes while a look is under way waits for the next one. One event loop may use it.

    Unanswered where that takes more than `patience` seconds: Kafka may be away.
    """

    def __init__(self, catch_up: Callable[[], Awaitable[None]], patience: float) -> None:
        self._catch_up = catch_up
        self._patience = patience
        self._under_way: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def __call__(self) -> None:
        if self._next is None:
            self._next = asyncio.create_task(self._look(self._under_way))
            self._next.add_done_callback(_heard)
        try:
            async with asyncio.timeout(self._patience):
                # Shielded: others wait for the same look.
                await asyncio.shield(self._next)
        except TimeoutError:
            raise Unanswered(f"the tables were not current within {self._patience:g} s: Kafka may be away") from None

    async def _look(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        # What is acknowledged from here on, this look may miss: newcomers get another.
        self._under_way, self._next = self._next, None
        await self._catch_up()


def _heard(look: asyncio.Task[None]) -> None:
    """Nobody may be waiting any more for what came of it."""
    if not look.cancelled():
        look.exception()
