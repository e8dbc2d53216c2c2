"""A child process that cannot outlive the process that started it, however that one ends.

A small guardian stands between the two (`connectors/guardian.py`). It reads a pipe whose writing end only the starter
has: the kernel closes that end even when the starter is killed, so "stop" and "my starter is dead" are one event. On
Linux the child is bound to its guardian as well.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from connectors import guardian


class Child:
    """One command under a guardian, in a session of its own: a terminal's Ctrl-C does not reach it.

    `ending` is the signal that asks the command to end; after `grace` seconds it is killed. Output is appended to `log`
    (mode 0600). `temp` is where the command is told to put temporary files. One event loop may use it.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        ending: signal.Signals = signal.SIGTERM,
        grace: float = 10.0,
        env: Mapping[str, str] | None = None,
        temp: Path | None = None,
    ) -> None:
        self._guarded = [str(int(ending)), str(grace), *command]
        self._log = log
        self._grace = grace
        self._env = env
        self._temp = {} if temp is None else {"TMPDIR": str(temp)}
        self._guardian: Process | None = None
        self._end: asyncio.Task[int] | None = None

    async def start(self) -> None:
        """Start the command; returns at once. OSError when the log or the interpreter cannot be opened."""
        file = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._guardian = await asyncio.create_subprocess_exec(
                sys.executable,
                # Isolated and without site-packages: it is to be up at once, and needs neither.
                "-IS",
                guardian.__file__,
                *self._guarded,
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
                env={**(os.environ if self._env is None else self._env), **self._temp},
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
