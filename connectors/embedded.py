"""What all servers that run as our child processes share: the folder each has to itself, its start and its end."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from connectors import ServiceRefused, ServiceUnavailable
from connectors.child import Child

READY_SECONDS = 60.0
FORMER_SECONDS = 15.0
STOP_SECONDS = 10.0


@contextmanager
def held(folder: Path, lock: Path, server: str) -> Iterator[None]:
    """Make `folder` (mode 0700) and keep every other starter of this server out of it for the length of the block.

    The file `lock` tells who is in: ServiceRefused names that process. Also raised where the folder cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        file = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ServiceRefused(f"{server}'s folder {folder} cannot be used: {error.strerror}") from error
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(file, 20).decode() or "unknown"
            raise ServiceRefused(
                f"{server}'s folder {folder} is used by process {holder}: stop it or choose another folder"
            ) from None
        os.ftruncate(file, 0)
        os.pwrite(file, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(file)


async def until_former_left(lock: Path, take: Callable[[int, int], object], server: str) -> None:
    """Wait while a server whose starter was killed still leaves; ServiceRefused after 15 s.

    Until then it holds `lock`, a file of its own, by the kind of lock that `take` takes: fcntl.flock or fcntl.lockf.
    """
    deadline = asyncio.get_running_loop().time() + FORMER_SECONDS
    while not _is_unlocked(lock, take):
        if asyncio.get_running_loop().time() > deadline:
            raise ServiceRefused(
                f"another {server} uses {lock.parent} and does not leave: find it with `ps` and stop it"
            )
        await asyncio.sleep(0.1)


def _is_unlocked(lock: Path, take: Callable[[int, int], object]) -> bool:
    try:
        file = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        take(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # POSIX leaves it open which of the two lockf answers with
        return False
    finally:
        os.close(file)
    return True


async def until_available(ask: Callable[[], object]) -> None:
    """Put a blocking question to a server, in a thread, until it raises ServiceUnavailable no more."""
    while True:
        with suppress(ServiceUnavailable):
            await asyncio.to_thread(ask)
            return
        await asyncio.sleep(0.1)


def last_line(log: str) -> str:
    """The last line that says something, at most 300 characters of it."""
    return next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "it wrote nothing")[:300]


class EmbeddedServer(ABC):
    """One server called `name` whose data outlive it in `folder`; `lock` and `log` are files of its own.

    `temp` is the folder of its temporary files; without one, it is the system's. Ends with the process that started it.
    One event loop may use it.
    """

    def __init__(self, name: str, folder: Path, *, lock: Path, log: Path, temp: Path | None = None) -> None:
        self._name = name
        self._folder = folder
        self._lock = lock
        self._log = log
        self._temp = temp
        self._child: Child | None = None
        self._holding = ExitStack()

    async def start(self) -> str:
        """Start the server and wait until it serves clients; returns its address.

        May be called again after the server ended by itself. Raises ServiceRefused (folder in use, port taken, the
        server refuses its settings or its data) and ServiceUnavailable (not ready within 60 s).
        """
        if self.running():
            raise RuntimeError(f"{self._name} is running already")
        self._holding.close()
        try:
            self._holding.enter_context(held(self._folder, self._lock, self._name))
            return await self._launch()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End the server, by force after 10 s, and let go of its folder. Does nothing when it is not running."""
        if self._child is not None:
            await self._child.stop()
        self._holding.close()

    def running(self) -> bool:
        """Whether the server's process lives; it may still be starting."""
        return self._child is not None and self._child.running()

    async def wait(self) -> int:
        """Wait until the server ends, for whatever reason; its exit status, 128 + n after signal n."""
        if self._child is None:
            raise RuntimeError(f"{self._name} was never started")
        return await self._child.wait()

    @property
    def pid(self) -> int | None:
        """The server's own process, not its guardian's; None while there is none."""
        return None if self._child is None else self._child.command_pid

    @abstractmethod
    async def _launch(self) -> str:
        """In a folder that is held: prepare it, `_run` the server and return its address."""

    async def _run(
        self,
        command: Sequence[str],
        serves: Callable[[], Coroutine[Any, Any, None]],
        *,
        ending: signal.Signals = signal.SIGTERM,
        env: Mapping[str, str] | None = None,
        reason: Callable[[str], str] = last_line,
    ) -> None:
        """Start the command and wait until `serves` returns; `reason` finds in its log why it ended before."""
        child = self._child = Child(command, log=self._log, ending=ending, grace=STOP_SECONDS, env=env, temp=self._temp)
        await child.start()
        serving = asyncio.create_task(serves())
        ended = asyncio.create_task(child.wait())
        try:
            done, _ = await asyncio.wait({serving, ended}, timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            serving.cancel()
            ended.cancel()
            await asyncio.gather(serving, ended, return_exceptions=True)
        if ended in done:
            why = reason(self._log.read_text(encoding="utf-8", errors="replace"))
            raise ServiceRefused(f"{self._name} ended while starting: {why} (see {self._log})")
        if not done:
            raise ServiceUnavailable(f"{self._name} did not become ready within {READY_SECONDS:.0f} s: see {self._log}")
        serving.result()
