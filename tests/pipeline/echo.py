"""A stage of the tests and the process that runs it in either shell: every face becomes one identification.

Run as a script with: shell bootstrap prefix instance folder. A face whose id begins with `poison` ends the process.
"""

import asyncio
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from connectors import kafka
from connectors.kafka import KafkaAccess
from connectors.keystore import wall_clock
from pipeline.changes import Put
from pipeline.codec import Received, Unusable
from pipeline.keeper import Keeper
from pipeline.metrics import Metrics
from pipeline.records import Box, Face, FrameId, Identification, Recognition, Sealed, Shot, Watch
from pipeline.shell.attempts import Attempts
from pipeline.shell.desk import Desk
from pipeline.shell.meter import Meter
from pipeline.shell.replay import Replay
from pipeline.stages.contract import Emit, Output
from pipeline.topology import FACES, IDENTIFICATIONS, IDENTIFY, Deployment, Node
from pipeline.worker import Worker

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
SILENT = replace(IDENTIFY, follows=(), replays=(IDENTIFICATIONS,))


def face(name: str, number: int = 0) -> Face:
    """A face that means nothing, with a number to count it by."""
    return Face(
        face_id=name,
        expires=EPOCH + timedelta(days=1),
        captured_at=EPOCH,
        recognition=Recognition("none"),
        template=Sealed("0" * 32, b"\0" * 12, b"\0" * 16),
        box=Box(0, 0, 1, 1),
        landmarks=((0.0, 0.0),) * 5,
        quality=1.0,
        shot=Shot(frame=FrameId("camera", "session", number), track_id=name, revision=0, watch=Watch(collections=())),
    )


@dataclass(frozen=True)
class Echo:
    """Counts, per partition, what it was told; so the replay can be seen in what it says."""

    name: str = "0"
    batch: int = 8

    @property
    def node(self) -> Node:
        return SILENT

    def begin(self) -> set[str]:
        return set()

    def replay(self, state: set[str], received: Received) -> set[str]:
        return {*state, received.change.key}

    def prepare(self, inputs: Sequence[Received]) -> list[Face]:
        faces = [each.change.value for each in inputs if isinstance(each.change, Put)]
        if any(each.face_id.startswith("poison") for each in faces):
            os.kill(os.getpid(), signal.SIGKILL)
        if any(each.face_id.startswith("bug") for each in faces):
            raise RuntimeError("a bug")
        return faces

    def step(
        self, state: set[str], prepared: Sequence[Face], now: datetime
    ) -> tuple[set[str], list[Output | Unusable]]:
        outputs: list[Output | Unusable] = []
        for each in prepared:
            state.add(each.face_id)
            outputs.append(Emit(IDENTIFICATIONS, Put(each.face_id, _told(each, len(state), self.name, now))))
        return state, outputs

    def tick(self, state: set[str], now: datetime) -> tuple[set[str], list[Output], datetime | None]:
        return state, [], None


def _told(each: Face, count: int, engine: str, now: datetime) -> Identification:
    return Identification(
        track_id=each.face_id,
        revision=count,
        camera="camera",
        face_id=each.face_id,
        face_expires=each.expires,
        captured_at=each.captured_at,
        identified_at=now,
        expires=now + timedelta(hours=1),
        decision="unknown",
        model="none",
        engine=engine,
        threshold=0.5,
    )


class _NoKeys:
    def destroy(self, kids: Any) -> None:
        raise AssertionError("echo destroys no keys")

    def destroy_expired(self, now: datetime) -> int:
        raise AssertionError("echo destroys no keys")


def _lose_acknowledgements(seen: Path) -> None:
    """Of records whose key begins with `lost`, and in one life only: as Faust can in a rebalance."""
    from faust.transport.consumer import Consumer

    acknowledge, first_life = Consumer.ack, not seen.exists()

    def forgetful(self: Any, message: Any) -> bool:
        if message.key.startswith(b"lost") and first_life:
            seen.touch()
            return False
        return bool(acknowledge(self, message))

    Consumer.ack = forgetful  # type: ignore[method-assign]


async def main(shell: str, bootstrap: str, prefix: str, instance: str, folder: Path) -> None:
    # The shortest that brokers allow: tests wait for a member that went.
    kafka.SESSION_MS, kafka.HEARTBEAT_MS = 6_000, 1_000
    access = KafkaAccess(bootstrap)
    attempts, deployment = Attempts(folder / f"{instance}.attempts"), Deployment(prefix=prefix)
    replay = Replay(
        deployment, lambda: kafka.consumer(access), lambda: kafka.consumer(access, committed=False), wall_clock
    )
    desk = Desk(Echo(instance), deployment, attempts, lambda: datetime.now(UTC), replay)
    meter = Meter(Metrics("echo"), "echo", FACES.name)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    runner: Keeper | Worker
    if shell == "keeper":
        runner = Keeper(desk, access, _NoKeys(), meter, instance=instance)
    else:
        _lose_acknowledgements(folder / "lost")
        runner = Worker(desk, access, _NoKeys(), meter, instance=instance, folder=folder / instance)
    try:
        await runner.run(stop)
    except Exception:
        # At once, as the real process does: what is left of the shell must not go on.
        traceback.print_exc()
        os._exit(70)


if __name__ == "__main__":
    given_shell, given_bootstrap, given_prefix, given_instance, given_folder = sys.argv[1:]
    asyncio.run(main(given_shell, given_bootstrap, given_prefix, given_instance, Path(given_folder)))
