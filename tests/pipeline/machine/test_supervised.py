"""One part kept alive: when it is started again, and when it is left alone."""

import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from connectors import ServiceUnavailable
from pipeline.machine.supervised import LONGEST_DELAY, Backoff, Program, Supervised

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


class Changes:
    """Counts what a supervised part tells, and lets a test wait for it."""

    def __init__(self) -> None:
        self.count = 0
        self._more = asyncio.Event()

    def __call__(self) -> None:
        self.count += 1
        self._more.set()

    async def reach(self, count: int) -> None:
        async with asyncio.timeout(60):
            while self.count < count:
                self._more.clear()
                await self._more.wait()


class Reluctant:
    """A service that ends at once the first time and refuses the next two starts."""

    def __init__(self) -> None:
        self.starts = 0

    @property
    def pid(self) -> int | None:
        return None

    async def start(self) -> str:
        self.starts += 1
        if self.starts in (2, 3):
            raise ServiceUnavailable("not yet")
        return f"address {self.starts}"

    async def stop(self) -> None:
        return

    async def wait(self) -> int:
        if self.starts > 1:
            await asyncio.Event().wait()
        return 1


def program(tmp_path: Path, command: Sequence[str] = SLEEPER) -> Program:
    (tmp_path / "temp").mkdir()
    return Program(command, tmp_path / "program.out", tmp_path / "temp")


def test_the_backoff_doubles_up_to_its_cap_and_starts_afresh_after_a_stable_life() -> None:
    backoff = Backoff()
    delays = [backoff.after(0.5) for _ in range(12)]
    assert delays[:4] == [0.1, 0.2, 0.4, 0.8]
    assert delays[-1] == LONGEST_DELAY
    assert backoff.after(60.0) == 0.1


def test_who_was_killed_from_outside_is_not_waited_for() -> None:
    backoff = Backoff()
    assert [backoff.after(0.5, 128 + signal.SIGKILL) for _ in range(3)] == [0.1, 0.1, 0.1]
    assert [backoff.after(0.5, 128 + signal.SIGSEGV) for _ in range(3)] == [0.1, 0.2, 0.4]


async def test_the_pid_is_the_programs_own(tmp_path: Path) -> None:
    sleeper = program(tmp_path)
    await sleeper.start()
    pid = sleeper.pid
    assert pid is not None
    try:
        async with asyncio.timeout(60):
            # Between its fork and its exec a process still shows the words of the one that it came from.
            while psutil.Process(pid).cmdline() != SLEEPER:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        await sleeper.stop()
    assert not psutil.pid_exists(pid)
    assert await sleeper.wait() == 128 + signal.SIGTERM


async def test_its_temporary_files_lie_where_it_is_told(tmp_path: Path) -> None:
    where = "import sys, tempfile; sys.stdout.write(tempfile.gettempdir())"
    told = program(tmp_path, [sys.executable, "-c", where])
    await told.start()
    assert await told.wait() == 0
    assert (tmp_path / "program.out").read_text() == str(tmp_path / "temp")


async def test_what_was_killed_is_started_again(tmp_path: Path) -> None:
    changes = Changes()
    kept = Supervised("sleeper", program(tmp_path), changes)
    await kept.start()
    first = kept.service.pid
    kept.kill()
    await changes.reach(2)
    assert kept.service.pid not in (None, first)
    assert kept.restarts == 1
    await kept.stop()
    assert kept.service.pid is None


async def test_what_was_stopped_stays_stopped_until_it_is_started(tmp_path: Path) -> None:
    changes = Changes()
    kept = Supervised("sleeper", program(tmp_path), changes)
    await kept.start()
    await kept.stop()
    await asyncio.sleep(0.3)
    stopped = kept.service.pid
    await kept.start()
    started = kept.service.pid
    assert stopped is None
    assert started is not None
    assert kept.restarts == 0
    await kept.stop()


@pytest.mark.parametrize("finishes", [True, False])
async def test_an_end_without_a_fault_is_final_only_where_it_is_meant(tmp_path: Path, finishes: bool) -> None:
    changes = Changes()
    kept = Supervised("clip", program(tmp_path, [sys.executable, "-c", ""]), changes, finishes=finishes)
    await kept.start()
    await changes.reach(2)
    assert kept.restarts == (0 if finishes else 1)
    await kept.stop()


async def test_a_start_that_fails_is_tried_again_and_the_new_address_is_known(
    caplog: pytest.LogCaptureFixture,
) -> None:
    changes = Changes()
    kept = Supervised("broker", Reluctant(), changes)
    await kept.start()
    await changes.reach(2)
    assert kept.address == "address 4"
    assert caplog.text.count("broker cannot be started; trying again") == 2
    await kept.stop()


async def test_killing_what_does_not_run_does_nothing(tmp_path: Path) -> None:
    kept = Supervised("sleeper", program(tmp_path), Changes())
    kept.kill()
    assert kept.restarts == 0
