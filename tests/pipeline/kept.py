"""Stages of the keeper at work in a test's own process, on a real Kafka."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from connectors import kafka
from connectors.kafka_admin import KafkaAdmin
from connectors.keystore import wall_clock
from pipeline.keeper import Keeper
from pipeline.keeper.upkeep import Upkeeper
from pipeline.metrics import Metrics
from pipeline.shell.attempts import Attempts
from pipeline.shell.desk import Desk
from pipeline.shell.meter import Meter
from pipeline.shell.outbox import KeyShredder
from pipeline.shell.replay import Replay
from pipeline.stages.contract import KeptStage
from pipeline.stages.control import Control
from pipeline.stages.erase import Erase
from pipeline.stages.withdrawal import Withdrawal
from pipeline.views import Follower, LiveSet
from tests.pipeline.conftest import Cluster
from tests.pipeline.receipts.signing import SIGNER


@asynccontextmanager
async def kept(
    stage: KeptStage[Any, Any],
    cluster: Cluster,
    keys: KeyShredder,
    folder: Path,
    clock: Callable[[], datetime] = wall_clock,
) -> AsyncIterator[Keeper]:
    """One stage in its shell, as `faceline worker` runs it, until the block ends."""
    access, name = cluster.access, stage.node.name
    replay = Replay(
        cluster.deployment, lambda: kafka.consumer(access), lambda: kafka.consumer(access, committed=False), wall_clock
    )
    desk = Desk(stage, cluster.deployment, Attempts(folder / f"{name}.attempts"), clock, replay)
    meter = Meter(Metrics(name), name, stage.node.input.name)
    tables: Follower | None = None
    upkeep = None
    if stage.node.follows:
        tables = Follower(replay.reader(), cluster.deployment, stage.node.follows, stage.follow, clock=wall_clock)  # type: ignore[attr-defined]
        if isinstance(stage, Erase):
            withdrawal = Withdrawal(stage.live, stage.positions, "erase")
            upkeep = Upkeeper(access, replay, withdrawal, tables, KafkaAdmin(access), clock)
    keeper = Keeper(desk, access, keys, meter, instance=f"{name}-0", tables=tables, upkeep=upkeep)
    stop = asyncio.Event()
    running = asyncio.create_task(keeper.run(stop))
    try:
        yield keeper
    finally:
        stop.set()
        try:
            await running
        except BaseException:
            # It ends at once, for its process would; this process goes on.
            await keeper._release(list(keeper._owned))
            await keeper._consumer.stop()
            if tables is not None:
                await tables.stop()
            raise


@asynccontextmanager
async def control(cluster: Cluster, keys: KeyShredder, folder: Path) -> AsyncIterator[None]:
    """Control, and an eraser that waits for nobody: no identify runs that could be waited for."""
    erase = Erase(cluster.deployment.scale.streams, LiveSet(), SIGNER, tuple, patience=timedelta(0))
    async with kept(Control(), cluster, keys, folder), kept(erase, cluster, keys, folder):
        yield
