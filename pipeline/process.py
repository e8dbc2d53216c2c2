"""One stage as a process: its lock, its logs, its metrics, its shell, and how it ends.

Exit codes: 0 asked to end; 2 a person's mistake; 69 a service is absent, 70 a bug - the supervisor starts it again.
"""

import asyncio
import logging
import os
import signal
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from aiokafka.errors import KafkaError  # type: ignore[import-untyped]
from filelock import FileLock, Timeout

from connectors import ServiceUnavailable, kafka
from pipeline import wiring
from pipeline.attempts import Attempts
from pipeline.desk import Desk
from pipeline.home import Home, HomeError
from pipeline.keeper import Keeper
from pipeline.meter import Meter
from pipeline.metrics import Metrics, serve
from pipeline.settings import Settings
from pipeline.stages.contract import KeptStage, Stage
from pipeline.topology import STAGES
from pipeline.views import Follower, LiveSet
from pipeline.worker import Worker

log = logging.getLogger(__name__)

UNAVAILABLE = 69
BUG = 70


def now() -> datetime:
    """The wall clock; the only one that stages are given."""
    return datetime.now(UTC)


async def run_stage(settings: Settings, home: Home, name: str, instance: str) -> int:
    """Run a stage until SIGTERM or SIGINT; HomeError when this instance runs already."""
    process = name if instance == name else f"{name}-{instance}"
    lock = FileLock(home.state / f"{process}.lock", mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        # Two live members of one instance id would eject each other from the group for ever.
        raise HomeError(f"{process} runs already in the home {home.path}; give another --instance") from None
    attempts = Attempts(home.state / f"{process}.attempts")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    metrics = Metrics(process)
    port = await serve(metrics, lambda: None, port=settings.metrics_port(process))
    home.announce(process, port)
    kafka.quiet_logs()
    shell = _shell(settings, home, name, instance, attempts, metrics)
    return await _until_stopped(shell, stop, attempts)


def _shell(
    settings: Settings, home: Home, name: str, instance: str, attempts: Attempts, metrics: Metrics
) -> Keeper | Worker:
    access = wiring.kafka_access(settings, home)
    deployment = settings.deployment()
    parts = wiring.parts(settings, home)
    live = LiveSet()
    node = STAGES.get(name)
    stage: Any = wiring.stage(name, parts, live)
    meter = Meter(metrics, name, stage.node.reads.name)

    def reader() -> Any:
        return kafka.consumer(access)

    if node is not None and node.shell == "keeper":
        kept: Desk[KeptStage[Any, Any]] = Desk(stage, deployment, attempts, now, reader)
        tables = Follower(reader(), deployment, node.follows, live.apply) if node.follows else None
        return Keeper(kept, access, parts.keys, meter, instance=f"{name}-{instance}", tables=tables)
    desk: Desk[Stage[Any, Any]] = Desk(stage, deployment, attempts, now, reader)
    folder = home.state / f"faust-{name}-{instance}"
    return Worker(desk, access, parts.keys, meter, instance=f"{name}-{instance}", folder=folder)


async def _until_stopped(shell: Keeper | Worker, stop: asyncio.Event, attempts: Attempts) -> int:
    """Run the shell; where it fails, end at once: nothing may be acknowledged after a failure."""
    try:
        await shell.run(stop)
    except (KafkaError, ServiceUnavailable) as error:
        # Whatever record was in hand, it is not to blame.
        attempts.acquit()
        log.error("a service is absent (%s): ending, to be started again", type(error).__name__)  # noqa: TRY400
        _end(UNAVAILABLE)
    except Exception:
        log.exception("ending before anything is acknowledged")
        _end(BUG)
    return 0


def _end(code: int) -> None:
    for handler in logging.getLogger().handlers:
        with suppress(OSError):
            handler.flush()
    os._exit(code)
