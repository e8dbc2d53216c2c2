"""Work that ends by itself, by the end of the process, or by the fault of what it depends on."""

import asyncio

import pytest

from pipeline.capture.ending import Ending, Stopped


async def soon(result: str, seconds: float = 0.02) -> str:
    await asyncio.sleep(seconds)
    return result


async def broken() -> None:
    raise OSError("the helper is gone")


async def test_work_that_is_not_disturbed_gives_its_result() -> None:
    assert await Ending(asyncio.Event()).unless(soon("done")) == "done"


async def test_the_end_interrupts_and_the_work_may_clean_up() -> None:
    stop, cleaned = asyncio.Event(), asyncio.Event()

    async def endless() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cleaned.set()

    asyncio.get_running_loop().call_later(0.02, stop.set)
    with pytest.raises(Stopped):
        await Ending(stop).unless(endless())
    assert cleaned.is_set()


async def test_grace_lets_short_work_finish() -> None:
    stop = asyncio.Event()
    stop.set()
    assert await Ending(stop).unless(soon("done"), grace=5.0) == "done"
    with pytest.raises(Stopped):
        await Ending(stop).unless(soon("never", 60), grace=0.02)


async def test_a_fault_beside_the_work_ends_it() -> None:
    helper = asyncio.create_task(broken())
    with pytest.raises(OSError, match="the helper is gone"):
        await Ending(asyncio.Event()).unless(soon("never", 60), beside=(helper,))
