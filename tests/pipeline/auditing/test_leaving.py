"""When a deleted canary has left a store, and what is said of one that it has not left: over real files."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from pipeline.auditing.canary import Canary, Folders
from pipeline.auditing.leaving import Leaving
from pipeline.auditing.report import Line, Verdict
from pipeline.erasing.bounds import KEY_STORE, Bound

NOW = datetime(2026, 11, 1, tzinfo=UTC)
WRAPPED = bytes(range(60))


@pytest.fixture
def row(tmp_path: Path) -> Path:
    """A file of the key store, with the canary's key in it."""
    path = tmp_path / "keys" / "keys.db"
    path.parent.mkdir()
    path.write_bytes(b"before" + WRAPPED + b"behind")
    return path


def leaving(row: Path, seconds: float | None, *, ago: float = 0.0) -> Leaving:
    """The end of a canary that was deleted so many seconds `ago`."""
    bird = Canary("persongroup/canary", "person", "face", "kid", "other", WRAPPED, np.ones(256, np.float32))
    folders = Folders(row.parents[1], None, None, row.parent)
    bound = {KEY_STORE: Bound(KEY_STORE, seconds, "because")}
    return Leaving(bird, folders, bound, time.monotonic() - ago, lambda: NOW, [KEY_STORE])


async def told(end: Leaving, *, wait: bool = False) -> list[Line]:
    return [line async for line in end.lines(wait=wait)]


async def test_what_is_gone_at_the_first_look_is_told_once_with_its_time(row: Path) -> None:
    await asyncio.to_thread(row.write_bytes, b"beforebehind")
    end = leaving(row, 5.0, ago=1.0)
    (line,) = await end.gone()
    assert (line.subject, line.verdict, line.bound) == (KEY_STORE, Verdict.PASS, 5.0)
    assert line.measured is not None
    assert 1.0 <= line.measured < 60.0
    assert await told(end) == []


async def test_what_is_still_there_may_be_so_until_its_bound(row: Path) -> None:
    end = leaving(row, 600.0)
    assert await end.gone() == []
    (line,) = await told(end)
    assert (line.verdict, line.measured) == (Verdict.PENDING, None)
    assert line.due is not None
    assert timedelta(seconds=590) < line.due - NOW <= timedelta(seconds=600)


async def test_what_is_there_behind_its_bound_has_failed(row: Path) -> None:
    (line,) = await told(leaving(row, 5.0, ago=6.0), wait=True)
    assert line.verdict is Verdict.FAIL
    assert "because" in line.text


async def test_of_what_nothing_is_promised_nothing_can_be_told(row: Path) -> None:
    (line,) = await told(leaving(row, None), wait=True)
    assert line.verdict is Verdict.CANNOT_TELL


async def test_a_bound_that_is_too_long_is_not_waited_for(row: Path) -> None:
    (line,) = await told(leaving(row, 7_200.0), wait=True)
    assert line.verdict is Verdict.PENDING


async def test_its_end_is_waited_for(row: Path) -> None:
    waiting = asyncio.create_task(told(leaving(row, 600.0), wait=True))
    await asyncio.sleep(0.5)
    assert not waiting.done()
    await asyncio.to_thread(row.unlink)
    (line,) = await waiting
    assert line.verdict is Verdict.PASS
    assert line.measured is not None
    assert line.measured >= 0.5
