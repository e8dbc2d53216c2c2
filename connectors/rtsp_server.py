"""A real RTSP camera on loopback: serves clips of a folder (PyPI `aio-rtsp-toolkit`), for the demo and the tests.

The server runs as a child that ends with its parent. Each connection plays the clip from its start.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from connectors import ServiceUnavailable
from connectors.child import Child
from connectors.loopback import LOOPBACK, free_port

READY_WITHIN = 30.0  # seconds; the child imports FFmpeg, which a loaded machine reads slowly
_POLL = 0.05  # seconds


class RtspServer:
    """Serves the MP4 and MKV files (H.264, H.265) of one folder; an async context manager.

    ModuleNotFoundError when the extra "demo" is not installed; ServiceUnavailable when the server does not come up.
    """

    def __init__(self, folder: Path, *, log: Path, port: int | None = None) -> None:
        if find_spec("aio_rtsp_toolkit") is None:
            raise ModuleNotFoundError('the RTSP server of the demo is not installed: pip install "faceline[demo]"')
        self.port = free_port() if port is None else port
        self._log = log
        # The module behind the toolkit's command `rtsp-server`: that script need not be on the PATH.
        command = [sys.executable, "-I", "-m", "server_demo", "-d", str(folder), "-H", LOOPBACK]
        self._child = Child([*command, "-p", str(self.port), "-cp", str(free_port())], log=log, grace=3.0)

    @property
    def pid(self) -> int | None:
        """The process group of the server; None before it started."""
        return self._child.pid

    def url(self, clip: str, *, loop: bool = True) -> str:
        """The camera that plays this file of the folder, over and over or once; the times of a loop go on rising."""
        # As a part of the path, not a query: FFmpeg appends the track's name to the URL when it sets the track up.
        return f"rtsp://{LOOPBACK}:{self.port}/{quote(clip)}/play_count_{0 if loop else 1}"

    async def start(self) -> None:
        """Start the server and wait until it listens."""
        await self._child.start()
        deadline = time.monotonic() + READY_WITHIN
        while not await asyncio.to_thread(_listens, self.port):
            if not self._child.running() or time.monotonic() > deadline:
                await self._child.stop()
                raise ServiceUnavailable(f"the RTSP server does not listen on {LOOPBACK}:{self.port}: see {self._log}")
            await asyncio.sleep(_POLL)

    async def stop(self) -> None:
        """End the server."""
        await self._child.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0
