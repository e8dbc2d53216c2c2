"""One capture session, from its first picture to a closed ledger."""

import asyncio
import logging
from datetime import UTC, datetime

from connectors.video import CameraLost, Picture, VideoEnded, VideoRefused
from pipeline.capture.backlog import Room
from pipeline.capture.bookkeeping import Bookkeeper
from pipeline.capture.camera_thread import CameraThread
from pipeline.capture.ending import Ending, Stopped
from pipeline.capture.publishing import Numbered, Publisher
from pipeline.capture.sessions import STOPPED, Account

log = logging.getLogger(__name__)

GRACE = 1.5  # seconds to write the last frames and close the session, once asked to end


class Recording:
    """Takes a connection's pictures, gives every one its number and its fate, and closes the books at the end."""

    def __init__(self, account: Account, publisher: Publisher, books: Bookkeeper, room: Room, ending: Ending) -> None:
        self._account = account
        self._publisher = publisher
        self._books = books
        self._room = room
        self._ending = ending

    async def run(self, thread: CameraThread, first: Picture) -> Picture:
        """Record until the books are full, then return the next session's first picture.

        Raises what ended the session before that, once it is closed: CameraLost, VideoEnded, VideoRefused, Stopped.
        """
        # Whoever succeeds a killed process looks for open sessions, so one is known before its first frame.
        await self._ending.unless(self._books.write())
        publishing = asyncio.create_task(self._publisher.run())
        booking = asyncio.create_task(self._books.run())
        end: Exception | None = None
        try:
            try:
                rest = await self._ending.unless(self._take(thread, first), beside=(publishing, booking))
            except (CameraLost, VideoEnded, VideoRefused, Stopped) as error:
                end = error
            booking.cancel()
            await self._ending.unless(self._close(), beside=(publishing,), grace=GRACE)
        finally:
            publishing.cancel()
            booking.cancel()
        if end is not None:
            raise end
        return rest

    async def _take(self, thread: CameraThread, first: Picture) -> Picture:
        picture = first
        while not self._account.full:
            number = picture.sequence - first.sequence
            self._account.sample(number)
            try:
                await self._decide(picture, number)
            except asyncio.CancelledError:
                self._account.lose(number, STOPPED)
                raise
            picture = await thread.next()
        return picture

    async def _decide(self, picture: Picture, number: int) -> None:
        if not await self._room.granted():
            self._account.skip(number)
            return
        jpeg = await asyncio.to_thread(picture.jpeg)
        captured_at = datetime.fromtimestamp(picture.captured_at, UTC)
        await self._publisher.offer(Numbered(number, captured_at, picture.width, picture.height, jpeg))

    async def _close(self) -> None:
        await self._publisher.drained()
        await self._books.write(closed=True)
