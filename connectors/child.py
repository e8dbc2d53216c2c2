"""A child process that cannot outlive the process that started it, however that one ends.

A small guardian stands between the two (this file, run as a script). It reads a pipe whose writing end only the starter
has: the kernel closes that end even when the starter is killed, so "stop" and "my starter is dead" are one event. On
Linux the child is bound to its guardian as well.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import threading
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Child:
    """One command under a guardian, in a session of its own: a terminal's Ctrl-C does not reach it.

    `ending` is the signal that asks the command to end; after `grace` seconds it is killed. Output is appended to `log`
    (mode 0600). One event loop may use it.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        ending: signal.Signals = signal.SIGTERM,
        grace: float = 10.0,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._guarded = [str(int(ending)), str(grace), *command]
        self._log = log
        self._grace = grace
        self._env = None if env is None else dict(env)
        self._guardian: Process | None = None
        self._end: asyncio.Task[int] | None = None

    async def start(self) -> None:
        """Start the command; returns at once. OSError when the log or the interpreter cannot be opened."""
        file = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._guardian = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                __file__,
                *self._guarded,
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
                env=self._env,
                start_new_session=True,
            )
        finally:
            os.close(file)
        self._end = asyncio.create_task(self._watch(self._guardian))

    @property
    def pid(self) -> int | None:
        """The guardian's pid, which is also the process group of guardian and command; None before `start`."""
        return None if self._guardian is None else self._guardian.pid

    @property
    def command_pid(self) -> int | None:
        """The command's own process; None while there is none: before `start`, in its first moments, after its end."""
        import psutil  # here, not above: the guardian runs this file too, and shall be up at once

        if self._guardian is None or not self.running():
            return None
        with suppress(psutil.Error):
            return next((process.pid for process in psutil.Process(self._guardian.pid).children()), None)
        return None

    def running(self) -> bool:
        """Whether the guardian, and so the command, has not ended."""
        return self._guardian is not None and self._guardian.returncode is None

    async def wait(self) -> int:
        """Wait for the end; the command's exit status, or 128 + the number of the signal that ended it."""
        if self._end is None:
            raise RuntimeError("the child was never started: call start() first")
        return await asyncio.shield(self._end)

    async def stop(self) -> None:
        """Ask the command to end, kill it after the grace period; does nothing when it has ended."""
        if self._guardian is None or self._end is None:
            return
        if self._guardian.stdin is not None:
            self._guardian.stdin.close()
        try:
            await asyncio.wait_for(asyncio.shield(self._end), self._grace + 5.0)
        except TimeoutError:
            with suppress(ProcessLookupError):
                os.killpg(self._guardian.pid, signal.SIGKILL)
            await self._end

    @staticmethod
    async def _watch(guardian: Process) -> int:
        status = await guardian.wait()
        # Where the kernel cannot bind the command to its guardian (not Linux), a killed guardian leaves it behind. At
        # once and only here: later the number may belong to somebody else.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(guardian.pid, signal.SIGKILL)
        return status if status >= 0 else 128 - status


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def guard(ending: signal.Signals, grace: float, command: Sequence[str]) -> None:
    """Run the command until it ends or standard input does; leaves with the command's status."""
    # A shell's background job starts with SIGINT ignored, and the command would inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent)  # noqa: S603

    def leave() -> None:
        status = child.wait()
        os._exit(status if status >= 0 else 128 - status)

    waiter = threading.Thread(target=leave)
    waiter.start()
    signal.signal(signal.SIGTERM, lambda *_: os.close(0))
    with suppress(OSError):
        while os.read(0, 4096):
            pass
    child.send_signal(ending)
    waiter.join(grace)
    child.kill()


if __name__ == "__main__":
    guard(signal.Signals(int(sys.argv[1])), float(sys.argv[2]), sys.argv[3:])
