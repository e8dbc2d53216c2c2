"""A stage in its shell, made of its parts and ready to run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors import kafka
from connectors.kafka import KafkaAccess
from pipeline import wiring
from pipeline.shell.attempts import Attempts
from pipeline.shell.desk import Desk
from pipeline.shell.meter import Meter
from pipeline.shell.replay import Replay
from pipeline.stages.contract import KeptStage, Stage
from pipeline.stages.erase import Erase
from pipeline.stages.withdrawal import Withdrawal
from pipeline.topology import STAGES
from pipeline.views import Follower, LiveSet
from pipeline.wiring import Parts

# Each loads what no other process needs.
if TYPE_CHECKING:
    from pipeline.keeper import Keeper
    from pipeline.keeper.upkeep import Upkeeper
    from pipeline.worker import Worker


def shell(
    name: str,
    parts: Parts,
    access: KafkaAccess,
    attempts: Attempts,
    meter: Meter,
    *,
    instance: str,
    folder: Path,
    clock: Callable[[], datetime],
) -> Keeper | Worker:
    """The stage of that name in its shell, ready to run; `folder` is for what the shell keeps, and may be lost."""
    deployment, node, live = parts.settings.deployment(), STAGES[name], LiveSet()
    stage: Any = wiring.stage(name, parts, live)
    replay = Replay(
        deployment, lambda: kafka.consumer(access), lambda: kafka.consumer(access, committed=False), parts.settings.now
    )
    if node.shell == "keeper":
        from pipeline.keeper import Keeper

        kept: Desk[KeptStage[Any, Any]] = Desk(stage, deployment, attempts, clock, replay)
        tables = None
        if node.follows:
            tables = Follower(replay.reader(), deployment, node.follows, stage.follow, clock=replay.clock)
        upkeep = _upkeep(stage, access, replay, tables, clock) if isinstance(stage, Erase) and tables else None
        return Keeper(kept, access, parts.keys, meter, instance=f"{name}-{instance}", tables=tables, upkeep=upkeep)
    from pipeline.worker import Worker  # it loads Faust

    desk: Desk[Stage[Any, Any]] = Desk(stage, deployment, attempts, clock, replay)
    return Worker(desk, access, parts.keys, meter, instance=f"{name}-{instance}", folder=folder)


def _upkeep(
    stage: Erase, access: KafkaAccess, replay: Replay, tables: Follower, clock: Callable[[], datetime]
) -> Upkeeper:
    from connectors.kafka_admin import KafkaAdmin
    from pipeline.keeper.upkeep import Upkeeper

    withdrawal = Withdrawal(stage.live, stage.positions, "erase")
    return Upkeeper(access, replay, withdrawal, tables, KafkaAdmin(access), clock)
