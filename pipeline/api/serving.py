"""Serves the application until it is asked to end, and watches that what its answers rest on is alive."""

import asyncio
import socket
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final

import uvicorn
from aiokafka.errors import KafkaError  # type: ignore[import-untyped]
from starlette.types import ASGIApp

from pipeline.api.service import Service
from pipeline.operations import Unanswered
from pipeline.settings import Api

BEAT_SECONDS: Final = 1.0
STALE_SECONDS: Final = 20.0
GRACE_SECONDS: Final = 3
# Longer than clients keep a connection that they do not use: who sends on one that just ended cannot know what came.
KEEP_ALIVE_SECONDS: Final = 75


class Pulse:
    """How current the views are: they are asked every second."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def trouble(self) -> str | None:
        """What is wrong, for the health of the process."""
        silent = time.monotonic() - self._last
        return f"Kafka has not answered for {silent:.0f} s" if silent > STALE_SECONDS else None

    async def watch(self, service: Service) -> None:
        """Ask for ever; raises what ended a view, because answers would grow old from then on."""
        while True:
            try:
                await service.client.catch_up()
                await service.recogniser.faces.catch_up()
            except (Unanswered, KafkaError):
                # While Kafka is away, requests are answered 503; its clients find it again by themselves.
                pass
            else:
                self._last = time.monotonic()
            if (error := service.client.asker.ended) is not None:
                raise error
            await asyncio.sleep(BEAT_SECONDS)


class _Server(uvicorn.Server):
    """Leaves the signals to the process that it runs in."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(app: ASGIApp, settings: Api, bound: socket.socket, stop: asyncio.Event) -> None:
    """Answer on a listening socket until `stop`, then finish what is in work, for three seconds at most."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        ws="none",
        http="h11",
        ssl_certfile=settings.certificate_file,
        ssl_keyfile=settings.key_file,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    finally:
        stopping.cancel()


async def until_one_ends(*works: Coroutine[Any, Any, None]) -> None:
    """Do all of it until one is done; raises what ended that one."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
