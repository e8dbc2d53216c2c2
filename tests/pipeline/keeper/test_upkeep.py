"""A deletion on a real broker, with real control, identify and eraser: nobody is named after it was called done."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition  # type: ignore[import-untyped]
from aiokafka.errors import ProducerFenced  # type: ignore[import-untyped]

from connectors import kafka
from connectors.kafka_admin import KafkaAdmin
from connectors.keystore import KeyStore, wall_clock
from pipeline.changes import Put, Tombstone
from pipeline.codec import Received
from pipeline.contract import asyncapi
from pipeline.keeper.upkeep import NUDGE_KEY, Upkeeper
from pipeline.receipts import verify_chain
from pipeline.records import AuditEntry, Identification, Watermark
from pipeline.shell.replay import Replay
from pipeline.stages.contract import Emit, Nudge, Purge, TakeOver
from pipeline.stages.erase import Erase
from pipeline.stages.withdrawal import Withdrawal
from pipeline.topology import AUDIT, COMMANDS, CONTROL, GATE, IDENTIFICATIONS, PERSONS
from pipeline.views import Follower, LiveSet, Positions, Watermarks
from tests.pipeline.conftest import Cluster
from tests.pipeline.keeper.world import World, at_work, identify
from tests.pipeline.kept import kept
from tests.pipeline.receipts.signing import PUBLIC, SIGNER
from tests.stopwatch import Stopwatch

pytestmark = [pytest.mark.broker, pytest.mark.timeout(120)]

SILENCE = timedelta(seconds=1)
# Where nobody hangs, nobody is to be taken over, however slow the machine.
PATIENT = timedelta(seconds=30)


@pytest.fixture(params=[SILENCE])
async def world(cluster: Cluster, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    erase = Erase(cluster.deployment.scale.streams, LiveSet(), SIGNER, tuple, request.param)
    async with at_work(cluster, tmp_path, erase) as made:
        yield made


@pytest.mark.parametrize("world", [PATIENT], indirect=True)
async def test_nobody_is_named_once_the_deletion_is_done(world: World, tmp_path: Path) -> None:
    keys = KeyStore.create(tmp_path / "unused")
    async with kept(identify(world.gallery), world.cluster, keys, tmp_path):
        person = await world.enrol()
        before = await world.pass_by()
        await world.until(lambda: world.named.keys() >= set(before))
        assert set(world.named.values()) == {person}
        passing = asyncio.create_task(world.pass_by(200))
        seconds = await world.delete(person)
        acknowledged = datetime.now(UTC)
        after = await passing
        await world.until(lambda: world.named.keys() >= set(after))
    assert seconds < PATIENT.total_seconds()
    assert set(world.named.values()) == {None}
    ghosts = [
        each
        for each in world.told
        if isinstance(each.change, Put)
        and isinstance(each.change.value, Identification)
        and each.change.value.person_id is not None
        and each.appended_at > acknowledged
    ]
    assert ghosts == []


async def test_without_an_identify_the_eraser_takes_back_what_was_told(world: World, tmp_path: Path) -> None:
    keys = KeyStore.create(tmp_path / "unused")
    async with kept(identify(world.gallery), world.cluster, keys, tmp_path):
        person = await world.enrol()
        before = await world.pass_by()
        await world.until(lambda: world.named.keys() >= set(before))
    assert await world.delete(person) >= SILENCE.total_seconds()
    await world.until(lambda: set(world.named.values()) == {None})
    again = [await world.delete(await world.enrol()) for _ in range(3)]
    assert min(again) < SILENCE.total_seconds(), "it owns them, and need not wait again"
    # Who comes back goes on from there, and is heard again.
    async with kept(identify(world.gallery), world.cluster, keys, tmp_path):
        after = await world.pass_by()
        await world.until(lambda: world.named.keys() >= set(after))
        await world.delete(await world.enrol())
    assert set(world.named.values()) == {None}


async def test_an_identify_that_hangs_is_fenced_and_names_nobody_when_it_wakes(world: World, tmp_path: Path) -> None:
    keys = KeyStore.create(tmp_path / "unused")
    async with AsyncExitStack() as hanging:
        keeper = await hanging.enter_async_context(kept(identify(world.gallery), world.cluster, keys, tmp_path))
        person = await world.enrol()
        before = await world.pass_by()
        await world.until(lambda: world.named.keys() >= set(before))
        # It has read, and does no more: as a process that is stopped between two of its steps.
        async with keeper._at_work:
            passing = await world.pass_by()
            with Stopwatch() as took:
                seconds = await world.delete(person)
            assert seconds >= SILENCE.total_seconds()
            assert took.seconds < 6
            await world.until(lambda: set(world.named.values()) == {None})
        await asyncio.sleep(1)
        with pytest.raises(ProducerFenced):
            await hanging.aclose()
    await asyncio.sleep(0.5)
    assert set(world.named.values()) == {None}
    assert not world.named.keys() & set(passing)


@pytest.mark.parametrize("world", [PATIENT], indirect=True)
async def test_a_gallery_that_takes_its_time_holds_no_deletion_up(world: World, tmp_path: Path) -> None:
    """What is searched for was not decided yet: its owner can answer for it all the same."""
    keys = KeyStore.create(tmp_path / "unused")
    async with kept(identify(world.gallery), world.cluster, keys, tmp_path):
        person = await world.enrol()
        before = await world.pass_by()
        await world.until(lambda: world.named.keys() >= set(before))
        asked = world.gallery.asked
        world.gallery.answers.clear()
        passing = await world.pass_by()
        await world.until(lambda: world.gallery.asked > asked)
        try:
            assert await world.delete(person) < PATIENT.total_seconds(), "the eraser took over"
        finally:
            world.gallery.answers.set()
        await world.until(lambda: world.named.keys() >= set(passing))
    assert set(world.named.values()) == {None}


@pytest.mark.parametrize("world", [PATIENT], indirect=True)
async def test_every_deletion_gets_its_receipt(world: World, tmp_path: Path) -> None:
    keys = KeyStore.create(tmp_path / "unused")
    async with kept(identify(world.gallery), world.cluster, keys, tmp_path):
        deleted = [await world.enrol() for _ in range(3)]
        for person in deleted:
            await world.delete(person)
        await world.until(lambda: len(_entries(world.told)) == 3)
    entries = _entries(world.told)
    verify_chain(entries, PUBLIC, reaches=2)
    receipts = [each.event for each in entries]
    assert [each.subject for each in receipts] == deleted  # type: ignore[union-attr]
    for each in receipts:
        assert each.counts == {"persons": 1, "templates": 1}  # type: ignore[union-attr]
        assert [(span.topic, span.count) for span in each.tombstones] == [("persons", 1), ("templates", 1)]  # type: ignore[union-attr]
        assert [passed.partition for passed in each.passed] == [0, 1, 2, 3]  # type: ignore[union-attr]


def _entries(told: Sequence[Received]) -> list[AuditEntry]:
    return [each.change.value for each in told if each.topic is AUDIT and isinstance(each.change, Put)]


@asynccontextmanager
async def _upkeeper(cluster: Cluster, timer: Any) -> AsyncIterator[Upkeeper]:
    live, positions = LiveSet(), Positions()

    def follow(received: Received) -> None:
        live.apply(received)
        positions.apply(received)

    replay = Replay(
        cluster.deployment,
        lambda: kafka.consumer(cluster.access),
        lambda: kafka.consumer(cluster.access, committed=False),
        wall_clock,
    )
    tables = Follower(replay.reader(), cluster.deployment, (PERSONS,), follow, clock=wall_clock)
    await tables.start()
    admin = KafkaAdmin(cluster.access)
    made = Upkeeper(
        cluster.access, replay, Withdrawal(live, positions, "erase"), tables, admin, lambda: datetime.now(UTC), timer
    )
    try:
        yield made
    finally:
        await made.stop()
        await tables.stop()


@pytest.mark.parametrize(("later", "heard"), [(10.1, False), (0.1, True)])
async def test_who_came_back_is_left_alone_until_it_was_heard_or_for_a_while(
    cluster: Cluster, later: float, heard: bool
) -> None:
    now = [0.0]
    marks = Watermarks()
    listener = Follower(kafka.consumer(cluster.access), cluster.deployment, (GATE,), marks.apply, clock=wall_clock)
    await listener.start()
    async with _upkeeper(cluster, lambda: now[0]) as upkeeper:
        await upkeeper.do(TakeOver(1), 0)
        await listener.catch_up()
        assert marks.newest[1].by == "erase"
        owner = kafka.producer(cluster.access, transactional_id=f"{cluster.deployment.prefix}identify-1")
        await owner.start()
        upkeeper.withdrawal.positions.tombstones += 1
        await upkeeper.do(TakeOver(1), 0)  # finds out
        await upkeeper.do(TakeOver(1), 0)  # and waits
        async with owner.transaction():
            await owner.send(cluster.deployment.name(GATE), b"", b"x", partition=1)
        now[0] += later
        await upkeeper.do(TakeOver(1, heard=heard), 0)
        with pytest.raises(ProducerFenced):
            async with owner.transaction():
                await owner.send(cluster.deployment.name(GATE), b"", b"x", partition=1)
        await owner.stop()
    await listener.stop()


async def test_two_who_take_a_partition_over_take_turns(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each partition of the eraser asks for it by itself."""
    watermark = Emit(GATE, Put("identify", Watermark(positions={}, by="erase", at=datetime.now(UTC))))
    monkeypatch.setattr(Withdrawal, "tick", lambda _self, state, _now: (state, [watermark], None))
    heard: list[Received] = []
    listener = Follower(kafka.consumer(cluster.access), cluster.deployment, (GATE,), heard.append, clock=wall_clock)
    await listener.start()
    async with _upkeeper(cluster, time.monotonic) as upkeeper:
        await upkeeper.do(TakeOver(1), 0)
        await asyncio.gather(*(upkeeper.do(TakeOver(1), partition) for partition in range(3)))
    await listener.catch_up()
    await listener.stop()
    assert [(each.partition, each.change) for each in heard] == [(1, watermark.change)] * 4


async def test_a_nudge_reaches_every_partition_and_says_nothing(cluster: Cluster) -> None:
    heard: list[Received] = []
    listener = Follower(
        kafka.consumer(cluster.access), cluster.deployment, (IDENTIFICATIONS,), heard.append, clock=wall_clock
    )
    await listener.start()
    async with _upkeeper(cluster, time.monotonic) as upkeeper:
        await upkeeper.do(Nudge(IDENTIFICATIONS), 0)
    await listener.catch_up()
    await listener.stop()
    assert sorted((each.partition, each.change) for each in heard) == [(p, Tombstone(NUDGE_KEY)) for p in range(4)]


async def test_a_nudge_of_an_outward_topic_keeps_its_contract(cluster: Cluster) -> None:
    consumer = kafka.consumer(cluster.access)
    await consumer.start()
    consumer.assign([TopicPartition(cluster.deployment.name(IDENTIFICATIONS), 0)])
    await consumer.seek_to_beginning()
    async with _upkeeper(cluster, time.monotonic) as upkeeper:
        await upkeeper.do(Nudge(IDENTIFICATIONS), 0)
    nudge = await consumer.getone()
    await consumer.stop()
    forgotten = asyncapi(cluster.deployment)["components"]["messages"]["identifications.forgotten"]
    assert {name for name, _ in nudge.headers} == set(forgotten["headers"]["required"])


async def test_what_was_read_is_deleted_and_what_was_not_is_kept(cluster: Cluster) -> None:
    name, group = cluster.deployment.name(COMMANDS), cluster.deployment.group(CONTROL)
    producer = kafka.producer(cluster.access)
    await producer.start()
    for number in range(5):
        await producer.send_and_wait(name, b"v", str(number).encode(), partition=0)
    await producer.stop()
    reader = kafka.consumer(cluster.access, group=group, max_records=1)
    reader.subscribe([name])
    await reader.start()
    admin = KafkaAdmin(cluster.access)
    async with _upkeeper(cluster, time.monotonic) as upkeeper:
        await upkeeper.do(Purge(CONTROL), 0)
        assert admin.beginning_offsets(name) == {0: 0}
        for _ in range(3):
            await reader.getone()
        await reader.commit()
        await upkeeper.do(Purge(CONTROL), 1)
        assert admin.beginning_offsets(name) == {0: 0}, "it falls to the stage's partition 0"
        await upkeeper.do(Purge(CONTROL), 0)
        assert admin.beginning_offsets(name) == {0: 3}
    admin.close()
    await reader.stop()
