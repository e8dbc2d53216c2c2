"""A Milvus Lite server as a child process: what a person without a Milvus gets, on loopback only.

Good to some 20,000 templates; it has neither passwords nor TLS.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

from connectors import ServiceRefused, ServiceUnavailable
from connectors.child import Child
from connectors.milvus import Milvus

LOOPBACK = "127.0.0.1"
READY_SECONDS = 60.0
FORMER_SECONDS = 15.0
STOP_SECONDS = 10.0


class EmbeddedMilvus:
    """One server whose data outlive it in `folder`; lock, log and port are remembered in files beside that folder.

    `port` 0 takes a free one and keeps it over restarts while it stays free. Ends with the process that started it. One
    event loop may use it.
    """

    def __init__(self, folder: Path, *, port: int = 0) -> None:
        self._folder = folder
        self._port = port
        self._log = folder.with_name(f"{folder.name}.log")
        self._child: Child | None = None
        self._holding = ExitStack()

    async def start(self) -> str:
        """Start the server and wait until it answers a client; its address, "http://127.0.0.1:port".

        May be called again after the server ended by itself. Raises ServiceRefused (folder in use, port taken, Milvus
        Lite refuses its data) and ServiceUnavailable (no answer within 60 s).
        """
        if self.running():
            raise RuntimeError("Milvus Lite is running already")
        self._holding.close()
        try:
            self._holding.enter_context(self._held())
            await self._until_former_left()
            port = self._choose_port()
            self._log.unlink(missing_ok=True)
            arguments = ["server", "--data-dir", str(self._folder), "--host", LOOPBACK, "--port", str(port)]
            # Its server flushes at an interrupt only; -P keeps the working directory off its import path.
            command = [sys.executable, "-P", "-m", "milvus_lite", *arguments]
            self._child = Child(command, log=self._log, ending=signal.SIGINT, grace=STOP_SECONDS)
            await self._child.start()
            await self._until_ready(self._child, f"http://{LOOPBACK}:{port}")
        except BaseException:
            await self.stop()
            raise
        return f"http://{LOOPBACK}:{port}"

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
            raise RuntimeError("Milvus Lite was never started")
        return await self._child.wait()

    @property
    def pid(self) -> int | None:
        """The server's process; None while there is none."""
        if self._child is None or self._child.pid is None or not self._child.running():
            return None
        with suppress(psutil.Error):
            return next((process.pid for process in psutil.Process(self._child.pid).children()), None)
        return None

    @contextmanager
    def _held(self) -> Iterator[None]:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self._folder.with_name(f"{self._folder.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ServiceRefused(f"the Milvus folder {self._folder} cannot be used: {error.strerror}") from None
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.read(lock, 20).decode() or "unknown"
                raise ServiceRefused(
                    f"the Milvus folder {self._folder} is used by process {holder}: stop it or choose another folder"
                ) from None
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(lock)

    async def _until_former_left(self) -> None:
        # A server whose starter was killed flushes before it leaves, and holds its own lock until then.
        deadline = asyncio.get_running_loop().time() + FORMER_SECONDS
        while not self._is_unlocked():
            if asyncio.get_running_loop().time() > deadline:
                raise ServiceRefused(
                    f"another Milvus Lite uses {self._folder} and does not leave: find it with `ps` and stop it"
                )
            await asyncio.sleep(0.1)

    def _is_unlocked(self) -> bool:
        try:
            lock = os.open(self._folder / "LOCK", os.O_RDWR)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(lock)
        return True

    def _choose_port(self) -> int:
        remembered = self._folder.with_name(f"{self._folder.name}.port")
        last = 0
        with suppress(OSError, ValueError):
            last = int(remembered.read_text())
        free = _free_port(self._port or last)
        if self._port and free is None:
            raise ServiceRefused(
                f"port {self._port} on {LOOPBACK} is taken: stop what listens there or choose another port"
            )
        port = free or _free_port(0) or 0
        remembered.write_text(str(port))
        return port

    async def _until_ready(self, child: Child, uri: str) -> None:
        serving = asyncio.create_task(_answers(uri))
        ended = asyncio.create_task(child.wait())
        try:
            done, _ = await asyncio.wait({serving, ended}, timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            serving.cancel()
            ended.cancel()
            await asyncio.gather(serving, ended, return_exceptions=True)
        if ended in done:
            lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
            last = next((line.strip() for line in reversed(lines) if line.strip()), "it wrote nothing")
            raise ServiceRefused(f"Milvus Lite ended while starting: {last[:300]} (see {self._log})")
        if not done:
            raise ServiceUnavailable(f"Milvus Lite did not answer within {READY_SECONDS:.0f} s: see {self._log}")


def _free_port(wanted: int) -> int | None:
    # gRPC listens with SO_REUSEPORT and would share a taken port in silence; a plain socket says no.
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, wanted))
        except OSError:
            return None
        return int(probe.getsockname()[1])


async def _answers(uri: str) -> None:
    milvus = Milvus(uri, timeout=2.0)
    try:
        while True:
            with suppress(ServiceUnavailable):
                await asyncio.to_thread(milvus.version)
                return
            await asyncio.sleep(0.1)
    finally:
        milvus.close()
