"""Memory leaves no trace on disk when a process crashes: not ours, and not of what we start."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from connectors.child import Child
from tests.connectors.process_limits import never_dumped

CHECKOUT = Path(__file__).parents[2]
KNOWN = "a template in memory, 0123456789"
CRASH = """
import ctypes, os, resource, sys
resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
os.chdir(sys.argv[1])
secret = sys.argv[2].encode() * 100
if sys.argv[3] == "disabled":
    from connectors import core_dumps
    core_dumps.disable()
ctypes.string_at(0)
"""
STATE = """
import ctypes, subprocess, sys
from connectors import core_dumps
core_dumps.disable()
print(ctypes.CDLL(None).prctl(3))
print(subprocess.run(["true"]).returncode)
"""

linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has a process that cannot be dumped")


def crashed(folder: Path, how: str) -> int:
    command = [sys.executable, "-c", CRASH, str(folder), KNOWN, how]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    return subprocess.run(command, cwd=CHECKOUT, check=False, env=environment).returncode


@linux
def test_a_crash_writes_no_core_where_it_would_have_written_one(tmp_path: Path) -> None:
    for how in ("enabled", "disabled"):
        (tmp_path / how).mkdir()
        assert crashed(tmp_path / how, how) == -signal.SIGSEGV
    assert list((tmp_path / "disabled").iterdir()) == []
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    if not pattern.startswith(("|", "/")) and hard == resource.RLIM_INFINITY:
        (core,) = (tmp_path / "enabled").iterdir()
        assert KNOWN.encode() in core.read_bytes()


@linux
def test_a_process_that_asked_for_it_is_undumpable_and_still_starts_others() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STATE], cwd=CHECKOUT, check=True, capture_output=True, text=True, timeout=30
    )
    # PR_GET_DUMPABLE
    assert done.stdout.split() == ["0", "0"]


async def test_a_child_inherits_it_from_its_guardian(tmp_path: Path) -> None:
    child = Child(["sleep", "60"], log=tmp_path / "log")
    await child.start()
    try:
        deadline = time.monotonic() + 10
        while child.command_pid is None or psutil.Process(child.command_pid).name() != "sleep":
            assert time.monotonic() < deadline
        assert child.pid is not None
        assert [never_dumped(pid) for pid in (child.pid, child.command_pid)] == [True, True]
    finally:
        await child.stop()
    assert not never_dumped(os.getpid())
