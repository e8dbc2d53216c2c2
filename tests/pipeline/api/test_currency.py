"""One look at the topics serves many requests, and never one that came too late for it."""

import asyncio

import pytest

from pipeline.api.currency import Currency
from pipeline.operations import Unanswered


class Topics:
    """Something to catch up with, that the test lets end; each look sees what was written before it began."""

    def __init__(self) -> None:
        self.written = 0
        self.looks = 0
        self.seen = 0
        self.open = asyncio.Event()

    async def catch_up(self) -> None:
        self.looks += 1
        end = self.written
        await self.open.wait()
        self.seen = end


async def test_many_share_a_look_and_latecomers_get_the_next() -> None:
    topics = Topics()
    current = Currency(topics.catch_up, 5.0)
    early = [asyncio.create_task(current()) for _ in range(50)]
    await asyncio.sleep(0.01)
    assert topics.looks == 1
    topics.written = 1

    async def late() -> int:
        await current()
        return topics.seen

    latecomers = [asyncio.create_task(late()) for _ in range(50)]
    await asyncio.sleep(0.01)
    assert topics.looks == 1
    topics.open.set()
    await asyncio.gather(*early)
    assert await asyncio.gather(*latecomers) == [1] * 50
    assert topics.looks == 2


async def test_who_waits_too_long_is_told_and_disturbs_nobody() -> None:
    topics = Topics()
    hasty, patient = Currency(topics.catch_up, 0.05), Currency(topics.catch_up, 60.0)
    waiting = asyncio.create_task(patient())
    with pytest.raises(Unanswered):
        await hasty()
    with pytest.raises(Unanswered):
        await hasty()
    topics.open.set()
    await waiting
    await patient()


async def test_what_goes_wrong_is_told_to_all_who_wait_and_the_next_look_begins_afresh() -> None:
    failing = True

    async def catch_up() -> None:
        await asyncio.sleep(0)
        if failing:
            raise ConnectionError

    current = Currency(catch_up, 5.0)
    told = await asyncio.gather(*(current() for _ in range(5)), return_exceptions=True)
    assert [type(each) for each in told] == [ConnectionError] * 5
    failing = False
    await current()


async def test_one_who_leaves_takes_nobody_along() -> None:
    topics = Topics()
    current = Currency(topics.catch_up, 5.0)
    leaving, staying = asyncio.create_task(current()), asyncio.create_task(current())
    await asyncio.sleep(0.01)
    leaving.cancel()
    topics.open.set()
    await staying
    assert leaving.cancelled()
