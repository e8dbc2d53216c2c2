"""Writes down what becomes of a session's frames, while they flow and at their end."""

import asyncio

from pipeline.capture.camera_streams import CameraStreams
from pipeline.capture.sessions import Account
from pipeline.records import Ledger

INTERVAL = 1.0  # seconds: what a killed process may leave for its successor to find out


class Bookkeeper:
    """Keeps `ledger` and `gaps` in step with an account. While Kafka is away its calls wait."""

    def __init__(self, account: Account, streams: CameraStreams) -> None:
        self._account = account
        self._streams = streams
        self._written: Ledger | None = None

    async def run(self) -> None:
        """Write every second what is new, until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            await self.write()

    async def write(self, *, closed: bool = False) -> None:
        """Write the gaps that are not on Kafka yet, then the ledger if it has changed."""
        for gap in self._account.gaps():
            await self._streams.gap(gap)
            self._account.told(gap)
        ledger = self._account.ledger(closed=closed)
        if ledger != self._written:
            await self._streams.ledger(ledger)
            self._written = ledger
