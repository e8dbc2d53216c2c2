"""What the shells rely on of Kafka: the same scenarios on the embedded broker and on the simulated one."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
from aiokafka import ConsumerRebalanceListener, TopicPartition  # type: ignore[import-untyped]
from aiokafka.errors import IllegalOperation, OffsetOutOfRangeError, ProducerFenced  # type: ignore[import-untyped]
from aiokafka.structs import OffsetAndMetadata  # type: ignore[import-untyped]

from connectors.broker import EmbeddedBroker
from connectors.kafka import KafkaAccess
from connectors.kafka_leaving import leaves_at_stop
from pipeline.bench.simulation.loop import VirtualLoop
from tests.pipeline.bench.simulation.places import Place, RealPlace, SimulatedPlace, consumer, producer

SEEDS = 20
Scenario = Callable[[Place], Awaitable[None]]
Read = list[tuple[bytes | None, bytes | None]]
SCENARIOS: list[Scenario] = []


def scenario(told: Scenario) -> Scenario:
    SCENARIOS.append(told)
    return told


async def opened(place: Place, topic: str, **options: Any) -> Any:
    """A consumer at the beginning of partition 0."""
    reader = consumer(place, **options)
    await reader.start()
    here = TopicPartition(place.name(topic), 0)
    reader.assign([here])
    await reader.seek_to_beginning(here)
    return reader


async def all_of(place: Place, topic: str, *, committed: bool = True, least: int = 0) -> Read:
    """Everything in partition 0 up to the end, waiting until there are `least`."""
    reader = await opened(place, topic, committed=committed)
    here = TopicPartition(place.name(topic), 0)
    found: Read = []
    async with asyncio.timeout(20):
        while True:
            for records in (await reader.getmany(timeout_ms=50)).values():
                found += [(record.key, record.value) for record in records]
            ends = await reader.end_offsets([here])
            if await reader.position(here) >= ends[here] and len(found) >= least:
                break
    await reader.stop()
    return found


async def until_read(reader: Any) -> None:
    async with asyncio.timeout(10):
        while not await reader.getmany(timeout_ms=100):
            pass


async def write(place: Place, topic: str, *records: tuple[bytes, bytes | None]) -> None:
    async with producer(place) as plain:
        for key, value in records:
            await plain.send_and_wait(place.name(topic), value, key=key, partition=0)


async def began(place: Place, name: str) -> Any:
    """A transactional producer with a record in an open transaction on `stream`."""
    owner = producer(place, name)
    await owner.start()
    await owner.begin_transaction()
    await owner.send_and_wait(place.name("stream"), b"open", key=name.encode(), partition=0)
    return owner


@scenario
async def a_new_owner_fences_the_old_one_whatever_it_tries(place: Place) -> None:
    old = await began(place, "owner")
    new = producer(place, "owner")
    await new.start()
    with pytest.raises(ProducerFenced):
        await old.send_and_wait(place.name("stream"), b"late", key=b"owner", partition=0)
    with pytest.raises((ProducerFenced, AssertionError)):
        await old.commit_transaction()
    with pytest.raises(AssertionError):
        await old.begin_transaction()
    with pytest.raises(IllegalOperation):
        await old.send(place.name("stream"), b"late", key=b"owner", partition=0)
    async with new.transaction():
        await new.send_and_wait(place.name("stream"), b"good", key=b"owner", partition=0)
    assert await all_of(place, "stream", least=1) == [(b"owner", b"good")]
    await old.stop()
    await new.stop()


@scenario
async def a_fenced_commit_makes_nothing_visible(place: Place) -> None:
    old = await began(place, "owner")
    new = producer(place, "owner")
    await new.start()
    with pytest.raises(ProducerFenced):
        await old.commit_transaction()
    assert await all_of(place, "stream") == []
    assert await all_of(place, "stream", committed=False) == [(b"owner", b"open")]
    await old.stop()
    await new.stop()


@scenario
async def an_idle_owner_is_fenced_in_its_next_transaction(place: Place) -> None:
    old = producer(place, "owner")
    await old.start()
    new = producer(place, "owner")
    await new.start()
    with pytest.raises(ProducerFenced):
        async with old.transaction():
            await old.send_and_wait(place.name("stream"), b"late", key=b"owner", partition=0)
    assert await all_of(place, "stream", committed=False) == []
    await old.stop()
    await new.stop()


@scenario
async def what_is_aborted_is_never_seen(place: Place) -> None:
    owner = await began(place, "owner")
    await owner.abort_transaction()
    with suppress(ZeroDivisionError):
        async with owner.transaction():
            await owner.send(place.name("stream"), b"also", key=b"owner", partition=0)
            raise ZeroDivisionError
    async with owner.transaction():
        await owner.send(place.name("stream"), b"good", key=b"owner", partition=0)
    assert await all_of(place, "stream", least=1) == [(b"owner", b"good")]
    assert (b"owner", b"open") in await all_of(place, "stream", committed=False)
    await owner.stop()


@scenario
async def an_open_transaction_hides_what_comes_after_it(place: Place) -> None:
    owner = await began(place, "owner")
    await write(place, "stream", (b"plain", b"1"))
    here = TopicPartition(place.name("stream"), 0)
    committed, every = await opened(place, "stream"), await opened(place, "stream", committed=False)
    assert (await committed.end_offsets([here]))[here] == 0
    assert (await every.end_offsets([here]))[here] == 2
    assert not await committed.getmany(timeout_ms=300)
    await owner.commit_transaction()
    assert await all_of(place, "stream", least=2) == [(b"owner", b"open"), (b"plain", b"1")]
    for client in (committed, every, owner):
        await client.stop()


@scenario
async def a_marker_moves_the_position(place: Place) -> None:
    owner = await began(place, "owner")
    await owner.abort_transaction()
    here = TopicPartition(place.name("stream"), 0)
    reader = await opened(place, "stream")
    async with asyncio.timeout(10):
        while await reader.position(here) < 2:
            assert not await reader.getmany(timeout_ms=50)
    assert (await reader.end_offsets([here]))[here] == 2
    await reader.stop()
    await owner.stop()


@scenario
async def offsets_travel_with_their_transaction(place: Place) -> None:
    here, group = TopicPartition(place.name("stream"), 0), place.name("readers")
    reader = consumer(place, group="readers")
    await reader.start()
    assert await reader.committed(here) is None
    owner = producer(place, "owner")
    await owner.start()

    async def commit(offset: int) -> None:
        await owner.begin_transaction()
        await owner.send_offsets_to_transaction({here: OffsetAndMetadata(offset, "")}, group)

    await commit(7)
    assert await reader.committed(here) is None
    await owner.abort_transaction()
    await commit(8)
    await owner.commit_transaction()
    async with asyncio.timeout(10):
        while await reader.committed(here) != 8:  # noqa: ASYNC110 - the broker tells nobody
            await asyncio.sleep(0.05)
    await commit(9)
    usurper = producer(place, "owner")
    await usurper.start()
    with pytest.raises(ProducerFenced):
        await owner.commit_transaction()
    assert await reader.committed(here) == 8
    for client in (reader, owner, usurper):
        await client.stop()


@scenario
async def a_new_owner_finds_the_transaction_of_the_old_one_decided(place: Place) -> None:
    here, group = TopicPartition(place.name("stream"), 0), place.name("readers")
    for number in range(5):
        owner = await began(place, "owner")
        await owner.send_offsets_to_transaction({here: OffsetAndMetadata(number, "")}, group)
        await owner.commit_transaction()
        usurper = producer(place, "owner")
        await usurper.start()
        reader = consumer(place, group="readers")
        await reader.start()
        assert await reader.committed(here) == number
        assert len(await all_of(place, "stream")) == number + 1
        for client in (reader, owner, usurper):
            await client.stop()


@scenario
async def the_next_transaction_is_seen_behind_all_of_the_last(place: Place) -> None:
    """Within one, each partition shows its part in its own time."""
    here, there = TopicPartition(place.name("stream"), 0), TopicPartition(place.name("table"), 0)
    owner, reader, ear = producer(place, "owner"), await opened(place, "stream"), await opened(place, "table")
    await owner.start()
    for number in range(20):
        async with owner.transaction():
            await owner.send(here.topic, b"tombstone", key=b"k", partition=0)
        async with owner.transaction():
            await owner.send(there.topic, b"watermark", key=b"k", partition=0)
        async with asyncio.timeout(10):
            while not await ear.getmany(timeout_ms=50):
                pass
        # A record and a marker each.
        assert (await reader.end_offsets([here]))[here] == 2 * (number + 1)
    for client in (owner, reader, ear):
        await client.stop()


@scenario
async def compaction_keeps_the_last_word_and_the_tombstone(place: Place) -> None:
    await write(place, "table", (b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"b", None), (b"c", b"1"))

    async def cleaned() -> bool:
        return (b"a", b"1") not in await all_of(place, "table")

    await place.clean("table", cleaned)
    left = [each for each in await all_of(place, "table") if each[0] != b"__nudge"]
    assert left == [(b"a", b"2"), (b"b", None), (b"c", b"1")]


@scenario
async def deleted_records_are_out_of_range(place: Place) -> None:
    await write(place, "stream", *((b"k", str(number).encode()) for number in range(6)))
    here = TopicPartition(place.name("stream"), 0)
    strict, patient = await opened(place, "stream", reset="none"), await opened(place, "stream")
    await place.delete_records("stream", 4)
    for reader in (strict, patient):
        reader.seek(here, 1)
    with pytest.raises(OffsetOutOfRangeError):
        await until_read(strict)
    found: list[bytes] = []
    async with asyncio.timeout(10):
        while len(found) < 2:
            found += [each.value for each in (await patient.getmany(timeout_ms=100)).get(here, [])]
    assert found == [b"4", b"5"]
    assert (await patient.beginning_offsets([here]))[here] == 4
    await strict.stop()
    await patient.stop()


class Ear(ConsumerRebalanceListener):  # type: ignore[misc]
    """Notes what a member is given and what is taken from it."""

    def __init__(self) -> None:
        self.mine: set[int] = set()

    async def on_partitions_assigned(self, assigned: Any) -> None:
        self.mine = {tp.partition for tp in assigned}

    async def on_partitions_revoked(self, revoked: Any) -> None:
        self.mine = set()


async def member(place: Place, instance: str) -> tuple[Any, Ear]:
    reader, ear = consumer(place, group="members", instance=instance), Ear()
    reader.subscribe([place.name("stream")], listener=ear)
    await reader.start()
    return reader, ear


async def until_shared(*members: tuple[Any, Ear], among: int) -> None:
    """Wait until the members hold both partitions, each something."""
    async with asyncio.timeout(30):
        while True:
            for reader, _ in members:
                await reader.getmany(timeout_ms=50)
            held = [ear.mine for _, ear in members]
            if sorted(partition for each in held for partition in each) == [0, 1] and sum(map(bool, held)) == among:
                return


@scenario
async def partitions_go_round_and_come_back_when_a_static_member_leaves(place: Place) -> None:
    first = await member(place, "m0")
    await until_shared(first, among=1)
    second = await member(place, "m1")
    await until_shared(first, second, among=2)
    leaves_at_stop(second[0])
    await second[0].stop()
    await until_shared(first, among=1)
    await first[0].stop()


@scenario
async def a_static_member_that_comes_again_finds_its_own(place: Place) -> None:
    first, second = await member(place, "m0"), await member(place, "m1")
    await until_shared(first, second, among=2)
    before, other = set(second[1].mine), set(first[1].mine)
    await second[0].stop()
    again = await member(place, "m1")
    await until_shared(first, again, among=2)
    assert (again[1].mine, first[1].mine) == (before, other)
    for reader, _ in (first, again):
        leaves_at_stop(reader)
        await reader.stop()


@pytest.mark.parametrize("told", SCENARIOS, ids=lambda told: told.__name__)
def test_simulated(told: Scenario) -> None:
    for seed in range(SEEDS):
        loop = VirtualLoop(random.Random(seed))

        async def all_of_it(loop: VirtualLoop = loop, seed: int = seed) -> None:
            await told(SimulatedPlace(loop, seed))

        try:
            loop.run_until_complete(all_of_it())
        finally:
            loop.close()
        assert loop.failure is None, f"seed {seed}"


@pytest.mark.broker
@pytest.mark.parametrize("told", SCENARIOS, ids=lambda told: told.__name__)
async def test_real(told: Scenario, broker: EmbeddedBroker) -> None:
    place = RealPlace(KafkaAccess(broker.bootstrap))
    try:
        await told(place)
    finally:
        place.close()
