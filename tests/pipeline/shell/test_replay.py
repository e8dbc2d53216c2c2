"""A replay on a real Kafka: it knows everything that its stage had committed."""

import asyncio
from typing import Any

import pytest

from connectors import kafka
from connectors.keystore import wall_clock
from pipeline.changes import Tombstone
from pipeline.codec import Received, encode
from pipeline.shell.replay import Replay
from pipeline.topology import ERASE, OPERATIONS
from tests.pipeline.conftest import Cluster

pytestmark = pytest.mark.broker


class _Keys:
    """A stage that remembers what it wrote."""

    node = ERASE

    def begin(self) -> list[str]:
        return []

    def replay(self, state: list[str], received: Received) -> list[str]:
        return [*state, received.change.key]


async def test_what_stands_behind_somebody_elses_open_transaction_is_waited_for(cluster: Cluster) -> None:
    """Two stages write `operations`: what one of them has committed nobody sees before the other is through."""
    access, name = cluster.access, cluster.deployment.name(OPERATIONS)
    replay = Replay(
        cluster.deployment,
        lambda: kafka.consumer(access),
        lambda: kafka.consumer(access, committed=False),
        wall_clock,
    )

    async def write(producer: Any, key: str) -> None:
        wire = encode(OPERATIONS, Tombstone(key))
        await producer.send_and_wait(name, wire.value, wire.key, partition=0, headers=list(wire.headers))

    async with (
        kafka.producer(access, transactional_id=f"{cluster.deployment.prefix}other") as other,
        kafka.producer(access, transactional_id=f"{cluster.deployment.prefix}ours") as ours,
    ):
        await other.begin_transaction()
        await write(other, "of another")
        async with ours.transaction():
            await write(ours, "ours")
        replayed = asyncio.create_task(replay(_Keys(), 0))
        await asyncio.wait([replayed], timeout=1)
        await other.abort_transaction()
        assert await replayed == ["ours"]
