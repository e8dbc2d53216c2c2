"""Blocking work that may be abandoned: a download or a conversion must not hold up a Ctrl-C.

`asyncio.to_thread` would: leaving its event loop waits for its threads. What runs here has to survive a SIGKILL anyway
(staging, then a rename), and being abandoned at the interpreter's end is no more than that.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

Result = TypeVar("Result")


async def prepared(work: Callable[[], Result]) -> Result:
    """The result of `work`, done in a daemon thread; a cancelled caller leaves it to its fate."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[Result] = loop.create_future()

    def settle(told: Callable[[], None]) -> None:
        if not outcome.done():
            told()

    def run() -> None:
        try:
            result = work()
        except Exception as error:
            told = partial(outcome.set_exception, error)
        else:
            told = partial(outcome.set_result, result)
        with suppress(RuntimeError):  # nobody waits any more: the loop is closed
            loop.call_soon_threadsafe(settle, told)

    threading.Thread(target=run, name="preparation", daemon=True).start()
    return await outcome
