"""Blocking work beside an event loop: its result, its error, and that nobody waits for it once it is abandoned."""

import asyncio
import threading
import time

import pytest

from pipeline.machine.preparation import prepared
from tests.stopwatch import Stopwatch


async def test_the_result_arrives_and_the_loop_goes_on() -> None:
    def slow() -> bool:
        time.sleep(0.2)
        return threading.current_thread().daemon

    ticks = 0
    working = asyncio.create_task(prepared(slow))
    while not working.done():
        ticks += 1
        await asyncio.sleep(0.01)
    assert await working
    assert ticks > 5


async def test_the_error_arrives() -> None:
    with pytest.raises(ZeroDivisionError):
        await prepared(lambda: 1 // 0)


def test_an_abandoned_preparation_holds_nothing_up() -> None:
    release = threading.Event()

    async def impatient() -> None:
        async with asyncio.timeout(0.05):
            await prepared(lambda: release.wait(30))

    with Stopwatch() as took, pytest.raises(TimeoutError):
        asyncio.run(impatient())
    release.set()
    assert took.seconds < 5
