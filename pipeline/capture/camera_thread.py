"""One connection to a camera on a thread of its own, because PyAV blocks: up to seconds, when a camera is frozen.

The thread is a daemon and nobody waits for it at the end: a process that must be gone in two seconds cannot.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from connectors.latest import Latest
from connectors.video import Picture, VideoEnded, VideoSource
from pipeline.capture.backpressure import Policy

Result = TypeVar("Result")

PATIENCE = 0.5  # seconds a thread waits for a picture before it looks whether it is still wanted


class CameraThread:
    """A source's pictures for an event loop: the freshest (`latest`), or each in its turn, one read ahead (`all`)."""

    def __init__(self, url: str, fps: float, policy: Policy, clock: Callable[[], float]) -> None:
        self._fps = fps
        self._policy = policy
        # A file under `latest` stands for a camera, which does not send faster than life either.
        self._connect = partial(VideoSource, url, realtime=policy == "latest", clock=clock)
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._source: VideoSource | None = None
        self._latest: Latest | None = None
        self._pictures: Iterator[Picture] = iter(())
        self._ahead: Future[Picture] | None = None
        self._closing = threading.Event()
        threading.Thread(target=self._run, name="camera connection", daemon=True).start()

    async def open(self) -> None:
        """Connect; raises CameraLost or VideoRefused."""
        await asyncio.wrap_future(self._submit(self._open))

    async def next(self) -> Picture:
        """The next picture; raises VideoEnded, CameraLost or VideoRefused after the last one."""
        ahead = self._ahead or self._submit(self._read)
        # Reading ahead would make a live picture older than it needs to be.
        self._ahead = self._submit(self._read) if self._policy == "all" else None
        return await asyncio.wrap_future(ahead)

    def close(self) -> None:
        """Let go of the camera, as soon as the thread can; returns at once."""
        self._closing.set()
        if self._source is not None:
            self._source.stop()
        self._work.put(None)

    def _submit(self, function: Callable[[], Result]) -> Future[Result]:
        future: Future[Result] = Future()
        self._work.put((future, function))
        return future

    def _run(self) -> None:
        while (task := self._work.get()) is not None:
            future, function = task
            if self._closing.is_set() or not future.set_running_or_notify_cancel():
                future.cancel()
                continue
            try:
                future.set_result(function())
            except BaseException as error:  # it belongs to whoever waits; here nobody would see it
                future.set_exception(error)
        if self._latest is not None:
            self._latest.close()
        elif self._source is not None:
            self._source.close()

    def _open(self) -> None:
        self._source = self._connect()
        if self._policy == "latest":
            self._latest = Latest(self._source, self._fps)
        else:
            self._pictures = self._source.pictures(self._fps)

    def _read(self) -> Picture:
        while self._latest is not None and not self._closing.is_set():
            with suppress(TimeoutError):
                return self._latest.take(PATIENCE)
        picture = next(self._pictures, None)
        if picture is None:
            raise VideoEnded("the video reached its end")
        return picture
