"""What a stage was at when it was last heard: the state of a partition, from what the stage itself wrote there."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer  # type: ignore[import-untyped]

from pipeline.codec import Received
from pipeline.stages.contract import Replaying
from pipeline.topology import Deployment
from pipeline.views import Follower


@dataclass(frozen=True, slots=True)
class Replay:
    """Replays for any stage of a deployment; `reader` makes a consumer of committed records, `ends` one of all.

    What the stage had committed may stand behind an open transaction of somebody else, who writes there too: it is
    waited for.
    """

    deployment: Deployment
    reader: Callable[[], AIOKafkaConsumer]
    ends: Callable[[], AIOKafkaConsumer]
    clock: Callable[[], datetime]

    async def __call__(self, stage: Replaying[Any], partition: int) -> Any:
        """The state behind everything that was committed before this call."""
        state = stage.begin()
        if not stage.node.replays:
            return state

        def learn(received: Received) -> None:
            nonlocal state
            state = stage.replay(state, received)

        ends = self.ends()
        follower = Follower(
            self.reader(),
            self.deployment,
            stage.node.replays,
            learn,
            clock=self.clock,
            partitions=[partition],
            ends=ends,
        )
        await ends.start()
        try:
            await follower.start()
            await follower.stop()
        finally:
            await ends.stop()
        return state
