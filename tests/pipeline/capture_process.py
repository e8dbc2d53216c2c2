"""A camera's process of its own, for tests that end it by a signal: arguments are bootstrap, prefix, home and video."""

import asyncio
import random
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from connectors.kafka import KafkaAccess
from connectors.keystore import KeyStore
from pipeline.capture.connections import run
from pipeline.metrics import Metrics
from pipeline.settings.camera import Camera
from pipeline.topology import Deployment


async def main(bootstrap: str, prefix: str, home: str, video: str) -> int:
    """Capture the video over and over, at its own pace, until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    return await run(
        Camera(name="door", file=Path(video), fps=15, policy="latest", loop=True),
        access=KafkaAccess(bootstrap),
        deployment=Deployment(prefix=prefix),
        group=f"{prefix}detect",
        keys=KeyStore.create(Path(home)),
        clock=lambda: datetime.now(UTC),
        random=random.SystemRandom(),
        stop=stop,
        metrics=Metrics("capture"),
    )


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
