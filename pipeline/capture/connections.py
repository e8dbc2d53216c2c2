"""A camera's process: connects, samples, numbers, publishes, holds back when it must, and keeps the books of it all."""

import asyncio
import logging
import random as chances
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Protocol, TypeVar

from aiokafka.errors import KafkaConnectionError  # type: ignore[import-untyped]

from connectors import kafka
from connectors.video import CameraLost, Picture, VideoEnded, VideoRefused, parse_source
from pipeline.capture.backlog import BacklogReader, Room
from pipeline.capture.backpressure import Pressure
from pipeline.capture.bookkeeping import Bookkeeper
from pipeline.capture.camera_streams import CameraStreams
from pipeline.capture.camera_thread import CameraThread
from pipeline.capture.ending import Ending, Stopped
from pipeline.capture.publishing import FrameKeys, Publisher
from pipeline.capture.reconnection import pause
from pipeline.capture.recording import Recording
from pipeline.capture.sessions import Account
from pipeline.capture.succession import settle
from pipeline.metrics import Metrics
from pipeline.settings.camera import Camera
from pipeline.topology import FRAMES, Deployment

log = logging.getLogger(__name__)

ENDED, REFUSED = 0, 2  # exit statuses

GOODBYE = 0.5  # seconds to take leave of the brokers
KAFKA_AWAY = 1.0  # seconds between two tries to reach a Kafka that is not there at the start

End = CameraLost | VideoEnded | VideoRefused


class Client(Protocol):
    """What starts and stops, of aiokafka."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


SomeClient = TypeVar("SomeClient", bound=Client)


async def run(
    camera: Camera,
    *,
    access: kafka.KafkaAccess,
    deployment: Deployment,
    group: str,
    keys: FrameKeys,
    clock: Callable[[], datetime],
    random: chances.Random,
    stop: asyncio.Event,
    metrics: Metrics,
) -> int:
    """Watch `camera` until `stop` is set or its file is over (0), or it is refused (2, with one line in the log).

    `group` is the consumer group that reads `frames`: its lag is the back-pressure. Whatever this raises shall end the
    process; the next one settles what it left open.
    """
    ending = Ending(stop)
    clients: list[Client] = []
    try:
        parse_source(camera.source())  # a mistake shall show at once, not when Kafka is there
        producer = await ending.unless(_reached(lambda: kafka.producer(access)))
        clients.append(producer)
        reader = await ending.unless(_reached(lambda: kafka.consumer(access, group=group)))
        clients.append(reader)
        streams = CameraStreams(producer, deployment, camera.name)
        await ending.unless(settle(lambda: kafka.consumer(access), deployment, streams, clock))
        room = Room(Pressure(camera.policy, camera.fps))
        capture = Capture(camera, streams, keys, room, ending, clock=clock, random=random, metrics=metrics)
        following = asyncio.create_task(room.follow(BacklogReader(reader, deployment.name(FRAMES), streams.partition)))
        try:
            await capture.watch()
        finally:
            following.cancel()
    except VideoRefused as error:
        log.error("%s", error, extra={"camera": camera.name})  # noqa: TRY400 - a person's mistake needs no stack
        return REFUSED
    except Stopped:
        pass
    finally:
        await asyncio.gather(*map(_left, clients))
    return ENDED


class Capture:
    """One camera: connection after connection, each a session of its own."""

    def __init__(
        self,
        camera: Camera,
        streams: CameraStreams,
        keys: FrameKeys,
        room: Room,
        ending: Ending,
        *,
        clock: Callable[[], datetime],
        random: chances.Random,
        metrics: Metrics,
    ) -> None:
        self._camera = camera
        self._streams = streams
        self._keys = keys
        self._ending = ending
        self._clock = clock
        self._random = random
        self._metrics = metrics
        self._room = room

    async def watch(self) -> None:
        """Return when a file is over; raises VideoRefused, and Stopped at the process's end."""
        failures = 0
        while True:
            end, seen = await self._connection()
            match end:
                case VideoEnded() if self._camera.loop:
                    continue
                case VideoEnded():
                    return
                case VideoRefused():
                    raise end
                case CameraLost():
                    failures = 1 if seen else failures + 1
                    seconds = pause(failures, self._random.random())
                    log.warning("%s; trying again in %.1f s", end, seconds, extra={"camera": self._camera.name})
                    await self._ending.unless(asyncio.sleep(seconds))

    async def _connection(self) -> tuple[End, bool]:
        """What ended a connection, and whether it had brought a picture."""
        camera, seen = self._camera, False
        thread = CameraThread(camera.source(), camera.fps, camera.policy, lambda: self._clock().timestamp())
        try:
            await self._ending.unless(thread.open())
            picture = await self._ending.unless(thread.next())
            seen = True
            while True:
                picture = await self._session(thread, picture)  # a new one where the books of the last are full
        except (CameraLost, VideoEnded, VideoRefused) as end:
            return end, seen
        finally:
            thread.close()

    async def _session(self, thread: CameraThread, first: Picture) -> Picture:
        camera = self._camera
        account = Account(camera.name, self._new_session(), self._count)
        publisher = Publisher(
            account, camera.watch(), self._streams, self._keys, self._room, fps=camera.fps, clock=self._clock
        )
        recording = Recording(account, publisher, Bookkeeper(account, self._streams), self._room, self._ending)
        self._metrics.connections.labels(camera.name).inc()
        return await recording.run(thread, first)

    def _new_session(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def _count(self, fate: str, frames: int) -> None:
        self._metrics.frames.labels(self._camera.name, fate).inc(frames)


async def _reached(make: Callable[[], SomeClient]) -> SomeClient:
    """A client that has reached Kafka; waits for one that is not there yet."""
    while True:
        client = make()
        try:
            await client.start()
        except KafkaConnectionError:
            await client.stop()
            log.warning("Kafka does not answer; trying again")
            await asyncio.sleep(KAFKA_AWAY)
        except BaseException:
            await client.stop()
            raise
        else:
            return client


async def _left(client: Client) -> None:
    leaving = asyncio.create_task(client.stop())
    await asyncio.wait({leaving}, timeout=GOODBYE)
    if not leaving.done():
        log.warning("Kafka does not answer; what was on its way is left to the next process")
