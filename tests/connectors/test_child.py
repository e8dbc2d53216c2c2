"""A child ends when asked, when it wants to, and with whoever started it; never later."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from connectors.child import Child

CHECKOUT = Path(__file__).parents[2]
POLITE = """
import time
print('up', flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    print('bye')
    raise SystemExit(3)
"""
STUBBORN = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"


def until_up(log: Path) -> None:
    deadline = time.monotonic() + 60
    while "up" not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def test_it_is_asked_to_end_and_its_output_and_status_are_kept(tmp_path: Path) -> None:
    child = Child([sys.executable, "-c", POLITE], log=tmp_path / "log", ending=signal.SIGINT)
    assert child.command_pid is None
    await child.start()
    await asyncio.to_thread(until_up, tmp_path / "log")
    assert child.running()
    assert POLITE in psutil.Process(child.command_pid).cmdline()
    await child.stop()
    assert await child.wait() == 3
    assert not child.running()
    assert child.command_pid is None
    assert (tmp_path / "log").read_text().split() == ["up", "bye"]
    await child.stop()


async def test_it_is_killed_when_it_does_not_end(tmp_path: Path) -> None:
    child = Child([sys.executable, "-c", STUBBORN], log=tmp_path / "log", grace=0.3)
    await child.start()
    await asyncio.to_thread(until_up, tmp_path / "log")
    await child.stop()
    assert await child.wait() == 128 + signal.SIGKILL


async def test_its_own_end_is_noticed(tmp_path: Path) -> None:
    child = Child([sys.executable, "-c", "raise SystemExit(7)"], log=tmp_path / "log")
    await child.start()
    assert await asyncio.wait_for(child.wait(), 60) == 7


@pytest.mark.parametrize("victim", ["starter", "guardian"])
async def test_it_dies_with_a_killed_starter_or_guardian(tmp_path: Path, victim: str) -> None:
    log = tmp_path / "log"
    code = (
        "import asyncio, sys; from pathlib import Path; from connectors.child import Child\n"
        "async def main():\n"
        f" child = Child([sys.executable, '-c', {POLITE!r}], log=Path({str(log)!r})); await child.start()\n"
        " print(child.pid, flush=True); await child.wait(); await asyncio.sleep(60)\nasyncio.run(main())"
    )
    starter = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=CHECKOUT, stdout=subprocess.PIPE)
    assert starter.stdout is not None
    guardian = psutil.Process(int(await starter.stdout.readline()))
    await asyncio.to_thread(until_up, tmp_path / "log")
    (command,) = guardian.children()
    os.kill(starter.pid if victim == "starter" else guardian.pid, signal.SIGKILL)
    gone, alive = await asyncio.to_thread(psutil.wait_procs, [command], 30)
    assert (len(gone), alive) == (1, [])
    if victim == "guardian":
        starter.kill()
    await starter.communicate()
