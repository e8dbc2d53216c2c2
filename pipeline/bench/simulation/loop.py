"""An event loop whose time is virtual, and processes on it that can be stopped, continued and killed.

Nothing waits: where no callback is ready, time jumps to the next timer. A process is whatever was started in a
context that carries its `Life`; a stopped one's callbacks are kept until it goes on, a killed one's tasks are
cancelled, and what it calls from then on has no effect (`Life.check`).
"""

import asyncio
import contextvars
import heapq
import random
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from typing import Any

LIFE: contextvars.ContextVar["Life | None"] = contextvars.ContextVar("life", default=None)
THREAD_S, SLOW_THREAD_S = (0.0001, 0.003), (0.1, 4.0)


class Life:
    """One life of one process."""

    def __init__(self, loop: "VirtualLoop", name: str) -> None:
        self.name = name
        self.stopped = False
        self.dead = False
        self.silent_since: float | None = None
        self._loop = loop
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._parked: list[asyncio.Handle] = []

    def start(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Run `work` as this process; so do the tasks that it starts."""
        context = contextvars.Context()
        context.run(LIFE.set, self)
        return self._loop.create_task(work, context=context)

    def keep(self, task: "asyncio.Task[Any]") -> None:
        """Count a task to this process until it ends."""
        self._tasks[task] = None
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    def check(self) -> None:
        """What every call to the outside begins with: CancelledError once the process is dead."""
        if self.dead:
            raise asyncio.CancelledError

    def park(self, handle: asyncio.Handle) -> None:
        """Keep a callback until the process goes on."""
        self._parked.append(handle)

    def stop(self) -> None:
        """SIGSTOP."""
        if not self.dead and not self.stopped:
            self.stopped, self.silent_since = True, self._loop.time()

    def resume(self) -> None:
        """SIGCONT: everything that became due meanwhile happens now."""
        if self.stopped and not self.dead:
            self.stopped, self.silent_since = False, None
            self._loop.ready(self._parked)
            self._parked = []

    def kill(self) -> None:
        """SIGKILL. The tasks unwind, which nobody outside can notice; what they have sent is still on its way."""
        if self.dead:
            return
        self.dead, self.stopped = True, False
        self.silent_since = self._loop.time() if self.silent_since is None else self.silent_since
        self._loop.ready(self._parked)
        self._parked = []
        for task in list(self._tasks):
            task.cancel()


class _Callback(asyncio.Handle):
    """A callback that a stopped process does not run."""

    __slots__ = ()

    def _run(self) -> None:
        life = self._context.get(LIFE)  # type: ignore[attr-defined]
        if life is not None and life.stopped:
            life.park(self)
        else:
            super()._run()


class _Timer(_Callback, asyncio.TimerHandle):
    """The same, at its time."""

    __slots__ = ()


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop of its own time, in seconds from 0. `chance` decides how long threads take.

    `slow` is the share of threads that take seconds; `slowed` counts those of each process that are at it.
    """

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._now = 0.0
        self._chance = chance
        self._ready_handles: deque[asyncio.Handle] = deque()
        self._ready = self._ready_handles
        # The serial number has timers of the same moment run in the order in which they were set.
        self._timers: list[tuple[float, int, asyncio.Handle]] = []
        self._serial = 0
        self.failure: BaseException | None = None
        self.slow = 0.0
        self.slowed: Counter[str] = Counter()
        self.set_task_factory(_task)
        self.set_exception_handler(_noted)

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        """What the base class does, less everything about files and debugging: this is most of what a run costs."""
        if not self._ready_handles and not self._stopping:  # type: ignore[attr-defined]
            while self._timers and self._timers[0][2].cancelled():
                heapq.heappop(self._timers)
            if not self._timers:
                raise RuntimeError("the simulation stands still: everybody waits for somebody else")
            self._now = max(self._now, self._timers[0][0])
        while self._timers and self._timers[0][0] <= self._now:
            self._ready_handles.append(heapq.heappop(self._timers)[2])
        for _ in range(len(self._ready_handles)):
            handle = self._ready_handles.popleft()
            if not handle._cancelled:
                handle._run()

    def _write_to_self(self) -> None:
        """Nobody sleeps who would have to be woken."""

    def ready(self, handles: list[asyncio.Handle]) -> None:
        """Run these as soon as possible, in their order."""
        self._ready_handles.extend(handles)

    def _call_soon(self, callback: Any, args: Any, context: contextvars.Context | None) -> asyncio.Handle:
        handle = _Callback(callback, args, self, context)
        self._ready_handles.append(handle)
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Any, *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.TimerHandle:
        timer = _Timer(when, callback, args, self, context)
        self._serial += 1
        heapq.heappush(self._timers, (when, self._serial, timer))
        return timer

    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> Any:
        """A thread: it works at one moment, a little later, and its answer takes a while more."""
        answered: asyncio.Future[Any] = self.create_future()
        life = LIFE.get()
        slow = life.name if life is not None and self._chance.random() < self.slow else ""

        def work() -> None:
            if life is not None and life.dead:
                return
            try:
                found, error = func(*args), None
            except Exception as raised:
                found, error = None, raised
            self.slowed[slow] += 1
            self.call_later(self._chance.uniform(*(SLOW_THREAD_S if slow else THREAD_S)), answer, found, error)

        def answer(found: Any, error: Exception | None) -> None:
            self.slowed[slow] -= 1
            if answered.done():
                return
            if error is None:
                answered.set_result(found)
            else:
                answered.set_exception(error)

        self.call_later(self._chance.uniform(*THREAD_S), work)
        return answered


def _task(
    loop: asyncio.AbstractEventLoop, work: Any, context: contextvars.Context | None = None
) -> "asyncio.Task[Any]":
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, context=context)
    life = LIFE.get() if context is None else context.get(LIFE)
    if life is not None:
        life.keep(task)
    return task


def _noted(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A task's exception is its process's affair; a callback's is a bug of the simulation."""
    if "handle" in context and isinstance(loop, VirtualLoop):
        loop.failure = context["exception"]
