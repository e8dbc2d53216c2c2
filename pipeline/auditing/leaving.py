"""How the deleted canary leaves the stores in which it was seen: when it is gone from each, beside what is promised."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import datetime, timedelta

from pipeline.auditing import canary
from pipeline.auditing.canary import Canary, Folders
from pipeline.auditing.report import Line, Verdict
from pipeline.erasing.bounds import Bound
from pipeline.erasing.times import told

WAITED_FOR = 3_600.0  # a bound that is longer than this is told, not waited for
LOOK_AGAIN_SECONDS = 1.0


class Leaving:
    """A canary whose deletion began at `began`, a monotonic time in seconds; `promised` has the bound of each store."""

    def __init__(
        self,
        bird: Canary,
        folders: Folders,
        promised: Mapping[str, Bound],
        began: float,
        now: Callable[[], datetime],
        seen: Iterable[str],
    ) -> None:
        self._bird, self._folders, self._promised, self._began, self._now = bird, folders, promised, began, now
        self._left = sorted(seen)

    async def gone(self) -> list[Line]:
        """Look once: a line for each store that it has left since the last look."""
        gone, after = await self._look()
        return [self._passed(store, after) for store in gone]

    async def lines(self, *, wait: bool) -> AsyncIterator[Line]:
        """A line for each store that is left, once it is known; with `wait`, bounds of up to 1 h are waited for."""
        while self._left:
            began = time.monotonic()
            gone, after = await self._look()
            for store in gone:
                yield self._passed(store, after)
            waited = [store for store in self._left if wait and self._may_yet_leave(self._promised[store], after)]
            for store in self._left:
                if store not in waited:
                    yield self._still_there(store, after)
            self._left = waited
            if self._left:
                await asyncio.sleep(max(LOOK_AGAIN_SECONDS, 2 * (time.monotonic() - began)))

    async def _look(self) -> tuple[list[str], float]:
        """The stores that it has left, and how long after the deletion's beginning the look began."""
        after = time.monotonic() - self._began
        there = await asyncio.to_thread(canary.found, self._bird, self._folders, self._left)
        gone = [store for store in self._left if store not in there]
        self._left = [store for store in self._left if store in there]
        return gone, after

    def _may_yet_leave(self, bound: Bound, after: float) -> bool:
        return bound.seconds is not None and after <= bound.seconds <= WAITED_FOR

    def _passed(self, store: str, after: float) -> Line:
        bound = self._promised[store]
        text = f"gone {after:.1f} s after the deletion; promised: {told(bound.seconds)}"
        return _line(bound, Verdict.PASS, text, measured=after)

    def _still_there(self, store: str, after: float) -> Line:
        bound = self._promised[store]
        if bound.seconds is None:
            return _line(bound, Verdict.CANNOT_TELL, f"still there, and nothing is promised: {bound.why}")
        if after > bound.seconds:
            return _line(bound, Verdict.FAIL, f"still there {after:.1f} s after the deletion: {bound.why}")
        due = self._now() + timedelta(seconds=bound.seconds - after)
        return _line(
            bound, Verdict.PENDING, f"still there; look again after {due.astimezone():%Y-%m-%d %H:%M:%S}", due=due
        )


def _line(
    bound: Bound, verdict: Verdict, text: str, *, measured: float | None = None, due: datetime | None = None
) -> Line:
    return Line(
        check="canary",
        subject=bound.store,
        verdict=verdict,
        text=text,
        bound=bound.seconds,
        measured=measured,
        due=due,
    )
