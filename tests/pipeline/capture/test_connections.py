"""A camera's process on a real Kafka: whatever happens to it, every frame is accounted for."""

import asyncio
import logging
import os
import random
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors import kafka
from connectors.broker import EmbeddedBroker
from connectors.footage import Scene, make_clip
from connectors.keystore import KeyStore, wall_clock
from connectors.rtsp_server import RtspServer
from pipeline.balance import Balance, Books, balances, read_books
from pipeline.capture.camera_streams import CameraStreams
from pipeline.capture.connections import ENDED, REFUSED, run
from pipeline.changes import Put
from pipeline.codec import Received, receive, unseal
from pipeline.identifiers import frame_place
from pipeline.metrics import Metrics
from pipeline.ranges import Ranges, add, count
from pipeline.records import Frame, Ledger
from pipeline.settings.camera import Camera
from pipeline.topology import FRAMES
from tests.pipeline.conftest import Cluster
from tests.stopwatch import Stopwatch

pytestmark = pytest.mark.broker

CLIP_SECONDS = 3.0
CLIP_FPS = 15
JPEG = b"\xff\xd8\xff"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    make_clip(path, [Scene(CLIP_SECONDS)], size=(320, 180), fps=CLIP_FPS)
    return path


@dataclass
class Detector:
    """Stands where detect stands: opens every frame, commits it, and keeps detect's ledger."""

    cluster: Cluster
    keys: KeyStore
    frames: list[Frame] = field(default_factory=list)
    processed: dict[str, Ranges] = field(default_factory=dict)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        producer = kafka.producer(self.cluster.access)
        consumer = kafka.consumer(self.cluster.access, group=f"{self.cluster.deployment.prefix}detect")
        consumer.subscribe([self.cluster.deployment.name(FRAMES)])
        await producer.start()
        await consumer.start()
        streams = CameraStreams(producer, self.cluster.deployment, "door")
        try:
            while True:
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    for record in records:
                        self.take(receive(FRAMES, record))
                    await consumer.commit()
                for session, processed in self.processed.items():
                    await streams.ledger(Ledger(camera="door", session=session, stage="detect", processed=processed))
        finally:
            await consumer.stop()
            await producer.stop()

    def take(self, received: object) -> None:
        assert isinstance(received, Received)
        assert isinstance(received.change, Put)
        frame: Frame = received.change.value
        jpeg = unseal(self.keys, frame.image, topic=FRAMES, key=frame_place(frame.id), field="image")
        assert jpeg.startswith(JPEG)
        session = frame.id.session
        self.processed[session] = add(self.processed.get(session, ()), frame.id.sequence)
        self.frames.append(frame)
        self.arrived.set()

    async def until(self, frames: int) -> None:
        while len(self.frames) < frames:
            self.arrived.clear()
            await self.arrived.wait()


@dataclass
class Place:
    """A deployment with a detector, and what a capture process needs to run in it."""

    cluster: Cluster
    keys: KeyStore
    home: Path
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    metrics: Metrics = field(default_factory=lambda: Metrics("capture"))

    def capture(self, camera: Camera) -> asyncio.Task[int]:
        self.stop.clear()
        running = run(
            camera,
            access=self.cluster.access,
            deployment=self.cluster.deployment,
            group=f"{self.cluster.deployment.prefix}detect",
            keys=self.keys,
            clock=lambda: datetime.now(UTC),
            random=random.SystemRandom(),
            stop=self.stop,
            metrics=self.metrics,
        )
        return asyncio.create_task(running)

    async def books(self) -> Books:
        return await read_books(lambda: kafka.consumer(self.cluster.access), self.cluster.deployment, wall_clock)

    async def settled(self) -> Balance:
        """The balance, once detect has told of every frame that it will ever see."""
        for _ in range(50):
            balance = balances(await self.books())["door"]
            if balance.holds:
                break
            await asyncio.sleep(0.1)
        return balance

    def counted(self, fate: str) -> float:
        return self.metrics.registry.get_sample_value("faceline_frames_total", {"camera": "door", "fate": fate}) or 0.0


@pytest.fixture
def place(cluster: Cluster, tmp_path: Path) -> Iterator[Place]:
    keys = KeyStore.create(tmp_path / "keys")
    yield Place(cluster, keys, tmp_path)
    keys.close()


@pytest.fixture
async def detector(place: Place) -> AsyncIterator[Detector]:
    detector = Detector(place.cluster, place.keys)
    running = asyncio.create_task(detector.run())
    yield detector
    running.cancel()
    await asyncio.wait({running})
    assert running.cancelled() or running.exception() is None


def numbers(frames: list[Frame]) -> list[int]:
    return [frame.id.sequence for frame in frames]


async def test_a_file_is_read_to_its_end_and_no_frame_is_left_out(place: Place, detector: Detector, clip: Path) -> None:
    camera = Camera(name="door", file=clip, fps=CLIP_FPS, collections=("staff",), threshold=0.5)
    assert await place.capture(camera) == ENDED
    balance = await place.settled()
    frames = round(CLIP_SECONDS * CLIP_FPS)
    assert balance == Balance(sampled=frames, processed=frames)
    assert numbers(detector.frames) == [*range(frames)]
    assert [frame.previous for frame in detector.frames] == [*range(-1, frames - 1)]
    assert {frame.watch for frame in detector.frames} == {camera.watch()}
    assert {(frame.width, frame.height) for frame in detector.frames} == {(320, 180)}
    assert place.counted("sampled") == frames
    assert all(fates.closed for fates in (await place.books()).sessions.values())


async def test_latest_leaves_frames_out_while_nobody_reads_and_all_waits(place: Place, clip: Path) -> None:
    assert await place.capture(Camera(name="door", file=clip, fps=5, policy="latest")) == ENDED
    patient = place.capture(Camera(name="door", file=clip, fps=CLIP_FPS))
    while len((await place.books()).sessions) < 2:  # noqa: ASYNC110 - capture tells nobody
        await asyncio.sleep(0.1)
    await asyncio.sleep(1.0)
    assert not patient.done()
    first, second = (await place.books()).sessions.values()
    skipped = count(first.skipped)
    assert first.closed
    assert 0 < skipped < first.sampled
    assert not second.closed
    assert second.skipped == ()

    detector = Detector(place.cluster, place.keys)
    reading = asyncio.create_task(detector.run())
    assert await patient == ENDED
    balance = await place.settled()
    sampled = first.sampled + round(CLIP_SECONDS * CLIP_FPS)
    assert balance == Balance(sampled=sampled, skipped=skipped, processed=sampled - skipped)
    reading.cancel()
    await asyncio.wait({reading})


@pytest.mark.rtsp
async def test_a_killed_camera_costs_a_session_and_nothing_else(
    place: Place, detector: Detector, clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = RtspServer(clip.parent, log=place.home / "rtsp.log")
    await server.start()
    url = server.url(clip.name).replace("rtsp://", "rtsp://admin:secret@")
    running = place.capture(Camera(name="door", url=url, fps=10))
    await detector.until(frames=5)
    await server.stop()
    seen = len(detector.frames)
    await asyncio.sleep(0.2)
    again = RtspServer(clip.parent, log=place.home / "rtsp.log", port=server.port)
    await again.start()
    await detector.until(frames=seen + 5)
    assert again.pid is not None
    os.killpg(again.pid, signal.SIGSTOP)
    with Stopwatch() as took:
        place.stop.set()
        assert await running == ENDED  # although the camera is frozen now
    assert took.seconds < 2.0
    os.killpg(again.pid, signal.SIGCONT)
    await again.stop()
    balance = await place.settled()
    assert balance.holds
    books = await place.books()
    assert len(books.sessions) == 2
    assert all(fates.closed for fates in books.sessions.values())
    assert "trying again in" in caplog.text
    assert "secret" not in caplog.text


async def test_a_camera_that_refuses_is_asked_again_less_and_less(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as taken:  # bound, not listening: nobody else can come to answer here
        taken.bind(("127.0.0.1", 0))
        url = f"rtsp://admin:secret@127.0.0.1:{taken.getsockname()[1]}/live"
        running = place.capture(Camera(name="door", url=url))
        for _ in range(200):
            if caplog.text.count("trying again in") == 3:
                break
            await asyncio.sleep(0.05)
        place.stop.set()
        assert await running == ENDED
    assert caplog.text.count("trying again in") == 3
    assert "secret" not in caplog.text
    assert (await place.books()).sessions == {}


@pytest.mark.parametrize("content", [None, b"", b"this is no video" * 100])
async def test_what_is_no_video_is_refused_with_one_line(
    place: Place, content: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    file = place.home / "clip.mp4"
    if content is not None:
        file.write_bytes(content)
    assert await place.capture(Camera(name="door", file=file)) == REFUSED
    lines = [record for record in caplog.records if record.name.startswith("pipeline")]
    assert [line.levelno for line in lines] == [logging.ERROR]
    assert str(file) in lines[0].getMessage()


async def test_a_file_that_loops_begins_a_session_each_time(place: Place, detector: Detector, clip: Path) -> None:
    running = place.capture(Camera(name="door", file=clip, fps=CLIP_FPS, loop=True))
    await detector.until(frames=2 * round(CLIP_SECONDS * CLIP_FPS) + 1)
    place.stop.set()
    assert await running == ENDED
    assert (await place.settled()).holds
    assert len((await place.books()).sessions) >= 3


async def process(place: Place, clip: Path) -> Process:
    arguments = (place.cluster.access.bootstrap, place.cluster.deployment.prefix, str(place.home / "keys"), str(clip))
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.pipeline.capture_process", *arguments)


async def test_a_killed_process_is_settled_by_its_successor(place: Place, detector: Detector, clip: Path) -> None:
    for kill in range(3):
        seen = len(detector.frames)
        child = await process(place, clip)
        await detector.until(frames=seen + 7 + 5 * kill)
        child.kill()
        assert await child.wait() == -signal.SIGKILL
    assert not all(fates.closed for fates in (await place.books()).sessions.values())
    assert await place.capture(Camera(name="door", file=clip, fps=1)) == ENDED
    balance = await place.settled()
    assert balance.holds
    assert balance.processed == len(detector.frames)
    identities = [frame.id for frame in detector.frames]
    assert len(set(identities)) == len(identities)
    books = await place.books()
    # More where a child read its clip to the end, and began anew, before it was killed.
    assert len(books.sessions) >= 4
    assert all(fates.closed for fates in books.sessions.values())


async def test_a_process_that_is_asked_to_end_closes_its_session(place: Place, detector: Detector, clip: Path) -> None:
    child = await process(place, clip)
    await detector.until(frames=5)
    with Stopwatch() as took:
        child.terminate()
        assert await child.wait() == ENDED
    assert took.seconds < 2.0
    assert (await place.settled()).holds
    assert all(fates.closed for fates in (await place.books()).sessions.values())


async def test_a_process_ends_in_time_while_a_camera_is_silent(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        running = place.capture(Camera(name="door", url=f"rtsp://127.0.0.1:{silent.getsockname()[1]}/live"))
        connection, _ = await asyncio.to_thread(silent.accept)
        with Stopwatch() as took:
            place.stop.set()
            assert await running == ENDED
        connection.close()
        assert took.seconds < 2.0


async def test_a_kafka_that_is_not_there_is_waited_for(
    place: Place, clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        cluster = Cluster(kafka.KafkaAccess(f"127.0.0.1:{nobody.getsockname()[1]}"), place.cluster.deployment)
        absent = Place(cluster, place.keys, place.home)
        running = absent.capture(Camera(name="door", file=clip))
        while "Kafka does not answer; trying again" not in caplog.text:  # noqa: ASYNC110 - a log tells nobody
            await asyncio.sleep(0.1)
        assert not running.done()
        absent.stop.set()
        assert await running == ENDED


async def test_a_process_that_ends_without_kafka_leaves_its_session_to_the_next(
    place: Place, clip: Path, broker: EmbeddedBroker
) -> None:
    running = place.capture(Camera(name="door", file=clip, fps=CLIP_FPS, policy="latest"))
    for _ in range(200):
        if place.counted("sampled"):
            break
        await asyncio.sleep(0.02)
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(0.5)
        with Stopwatch() as took:
            place.stop.set()
            assert await running == ENDED
        assert took.seconds < 3.0
    finally:
        os.kill(broker.pid, signal.SIGCONT)
    detector = Detector(place.cluster, place.keys)
    reading = asyncio.create_task(detector.run())
    assert await place.capture(Camera(name="door", file=clip, fps=1)) == ENDED
    assert (await place.settled()).holds
    assert all(fates.closed for fates in (await place.books()).sessions.values())
    reading.cancel()
    await asyncio.wait({reading})
