"""Frames on their way to a real Kafka: in order, sealed, bounded while it is away, none lost in silence."""

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiokafka.errors import TopicAuthorizationFailedError  # type: ignore[import-untyped]

from connectors import kafka
from connectors.broker import EmbeddedBroker
from connectors.kafka_admin import KafkaAdmin
from connectors.keystore import KeyStore, SealBroken, wall_clock
from pipeline.capture.backlog import Room
from pipeline.capture.backpressure import Policy, Pressure
from pipeline.capture.camera_streams import CameraStreams
from pipeline.capture.publishing import LEAST_WAITING, ON_THE_WAY, FrameRefused, Numbered, Publisher
from pipeline.capture.sessions import DESTROYED, OVERSIZED, UNAVAILABLE, Account
from pipeline.changes import Put
from pipeline.codec import Received, unseal
from pipeline.identifiers import frame_place
from pipeline.lifetimes import frame_key
from pipeline.records import Frame, Watch
from pipeline.topology import FRAMES
from pipeline.views import Follower
from tests.pipeline.conftest import Cluster

pytestmark = pytest.mark.broker

WATCH = Watch(collections=("largepersongroup/people",))
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def keys(tmp_path: Path) -> Iterator[KeyStore]:
    store = KeyStore.create(tmp_path / "keys")
    yield store
    store.close()


@pytest.fixture
async def streams(cluster: Cluster) -> AsyncIterator[CameraStreams]:
    producer = kafka.producer(cluster.access)
    await producer.start()
    yield CameraStreams(producer, cluster.deployment, "door")
    await producer.stop()


class Desk:
    """A publisher at work on one session."""

    def __init__(
        self,
        streams: CameraStreams,
        keys: KeyStore,
        policy: Policy = "latest",
        fps: float = 0.1,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.account = Account("door", "s1", lambda fate, frames: None)
        room = Room(Pressure(policy, fps))
        self.publisher = Publisher(self.account, WATCH, streams, keys, room, fps=fps, clock=clock)

    async def offer(self, number: int, jpeg: bytes = b"a picture") -> None:
        self.account.sample(number)
        await self.publisher.offer(Numbered(number, NOON, 640, 360, jpeg))


async def published(cluster: Cluster) -> list[Frame]:
    frames: list[Frame] = []

    def note(received: Received) -> None:
        assert isinstance(received.change, Put)
        assert received.change.key == "door"
        assert received.partition == cluster.deployment.scale.of_camera("door")
        frames.append(received.change.value)

    follower = Follower(kafka.consumer(cluster.access), cluster.deployment, (FRAMES,), note, clock=wall_clock)
    await follower.start()
    await follower.stop()
    return frames


@contextmanager
def frozen(broker: EmbeddedBroker) -> Iterator[None]:
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(broker.pid, signal.SIGCONT)


async def test_frames_stand_in_order_and_open_only_where_they_stand(
    cluster: Cluster, streams: CameraStreams, keys: KeyStore
) -> None:
    desk = Desk(streams, keys)
    running = asyncio.create_task(desk.publisher.run())
    for number in (0, 1, 4):
        await desk.offer(number, f"picture {number}".encode())
    await desk.publisher.drained()
    running.cancel()
    frames = await published(cluster)
    assert [(frame.id.sequence, frame.previous) for frame in frames] == [(0, -1), (1, 0), (4, 1)]
    first, second, _ = frames
    assert (first.captured_at, first.width, first.height, first.watch) == (NOON, 640, 360, WATCH)
    assert unseal(keys, first.image, topic=FRAMES, key=frame_place(first.id), field="image") == b"picture 0"
    with pytest.raises(SealBroken):
        unseal(keys, second.image, topic=FRAMES, key=frame_place(first.id), field="image")
    assert desk.account.gaps() == []


async def test_a_frame_that_no_broker_takes_is_a_gap_and_the_next_ones_go_on(
    cluster: Cluster, streams: CameraStreams, keys: KeyStore
) -> None:
    desk = Desk(streams, keys)
    running = asyncio.create_task(desk.publisher.run())
    largest = FRAMES.max_bytes - 1100
    for number, size in enumerate((10, FRAMES.max_bytes, largest, 10)):
        await desk.offer(number, secrets.token_bytes(size))
    await desk.publisher.drained()
    running.cancel()
    assert [frame.id.sequence for frame in await published(cluster)] == [0, 2, 3]
    assert desk.account.lost == {OVERSIZED: ((1, 1),)}


async def test_what_is_seen_after_its_key_was_destroyed_is_a_gap_until_the_next_key(
    cluster: Cluster, streams: CameraStreams, keys: KeyStore
) -> None:
    """Whoever erases the account destroys the key of this half minute with all others, and cameras run on."""
    now = [datetime.now(UTC)]
    desk = Desk(streams, keys, clock=lambda: now[0])
    running = asyncio.create_task(desk.publisher.run())
    this = frame_key("door", now[0])
    keys.destroy([keys.named(this.name, this.expires)])
    await desk.offer(0)
    await desk.publisher.drained()
    now[0] += timedelta(seconds=30)
    await desk.offer(1)
    await desk.publisher.drained()
    running.cancel()
    assert [frame.id.sequence for frame in await published(cluster)] == [1]
    assert desk.account.lost == {DESTROYED: ((0, 0),)}


async def test_where_nothing_may_be_lost_a_destroyed_key_is_waited_out(
    cluster: Cluster, streams: CameraStreams, keys: KeyStore
) -> None:
    now = [datetime.now(UTC)]
    desk = Desk(streams, keys, "all", clock=lambda: now[0])
    running = asyncio.create_task(desk.publisher.run())
    this = frame_key("door", now[0])
    keys.destroy([keys.named(this.name, this.expires)])
    await desk.offer(0)
    await asyncio.sleep(0.1)
    now[0] += timedelta(seconds=30)
    await desk.offer(1)
    await desk.publisher.drained()
    running.cancel()
    assert [(frame.id.sequence, frame.previous) for frame in await published(cluster)] == [(0, -1), (1, 0)]
    assert desk.account.lost == {}


async def test_a_cluster_with_a_lower_limit_than_the_map_is_told_of(
    cluster: Cluster, streams: CameraStreams, keys: KeyStore
) -> None:
    admin = KafkaAdmin(cluster.access)
    await asyncio.to_thread(admin.alter, cluster.deployment.name(FRAMES), {"max.message.bytes": "100000"})
    admin.close()
    desk = Desk(streams, keys)
    running = asyncio.create_task(desk.publisher.run())
    while not running.done():  # a broker hears of the new limit a moment after the administrator
        await desk.offer(desk.account.sampled, secrets.token_bytes(200_000))
        await asyncio.sleep(0.05)
    with pytest.raises(FrameRefused, match="a frame of 200000 bytes, the map allows 4194304: run faceline topics"):
        await running


async def test_latest_keeps_the_newest_while_kafka_is_away(
    broker: EmbeddedBroker, cluster: Cluster, streams: CameraStreams, keys: KeyStore
) -> None:
    desk = Desk(streams, keys)
    running = asyncio.create_task(desk.publisher.run())
    await desk.offer(0)
    await desk.publisher.drained()
    with frozen(broker):
        for number in range(1, 31):
            await desk.offer(number)
            await asyncio.sleep(0.02)
    await desk.publisher.drained()
    running.cancel()
    frames = [(frame.id.sequence, frame.previous) for frame in await published(cluster)]
    newest = 31 - LEAST_WAITING
    chain = [*range(ON_THE_WAY + 1), *range(newest, 31)]
    assert frames == list(zip(chain, [-1, *chain[:-1]], strict=True))
    assert desk.account.lost == {UNAVAILABLE: ((ON_THE_WAY + 1, newest - 1),)}


async def test_all_waits_while_kafka_is_away(
    broker: EmbeddedBroker, cluster: Cluster, streams: CameraStreams, keys: KeyStore
) -> None:
    desk = Desk(streams, keys, "all")
    running = asyncio.create_task(desk.publisher.run())

    async def offer_all() -> None:
        for number in range(30):
            await desk.offer(number)

    with frozen(broker):
        offering = asyncio.create_task(offer_all())
        await asyncio.sleep(0.5)
        assert desk.account.sampled <= ON_THE_WAY + LEAST_WAITING + 1
    await offering
    await desk.publisher.drained()
    running.cancel()
    assert [frame.id.sequence for frame in await published(cluster)] == [*range(30)]
    assert desk.account.lost == {}


async def test_a_refusal_for_good_ends_the_work(cluster: Cluster, keys: KeyStore) -> None:
    class Forbidden(CameraStreams):
        async def send(self, *_: object) -> asyncio.Future[object]:
            refused: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            refused.set_exception(TopicAuthorizationFailedError())
            return refused

    desk = Desk(Forbidden(None, cluster.deployment, "door"), keys)
    await desk.offer(0)
    with pytest.raises(TopicAuthorizationFailedError):
        await desk.publisher.run()
