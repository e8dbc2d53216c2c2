"""A capture process that was killed left sessions open: whoever comes next says what became of their last frames."""

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime

from aiokafka import AIOKafkaConsumer  # type: ignore[import-untyped]

from pipeline.balance import Books, read_books
from pipeline.capture.camera_streams import CameraStreams
from pipeline.capture.sessions import EXPIRED, KILLED
from pipeline.changes import Put
from pipeline.codec import Received
from pipeline.ranges import Ranges, add, subtract
from pipeline.records import Frame, Gap, Ledger
from pipeline.topology import FRAMES, Deployment
from pipeline.views import Follower

log = logging.getLogger(__name__)

Standing = Mapping[str, Ranges]


def unsettled(books: Books, camera: str) -> list[str]:
    """The sessions of a camera that are still open, or have frames nobody tells of."""
    return [
        session
        for (owner, session), fates in books.sessions.items()
        if owner == camera and (not fates.closed or fates.unaccounted())
    ]


def settlement(books: Books, camera: str, standing: Standing) -> tuple[list[Gap], list[Ledger]]:
    """The gaps and closing ledgers of the camera's former sessions.

    `standing` are the numbers that stand in `frames`, by session: detect will tell of them. A closed session lost
    frames only to retention, while detect was away.
    """
    gaps: list[Gap] = []
    ledgers: list[Ledger] = []
    for session in unsettled(books, camera):
        fates = books.sessions[camera, session]
        reason = EXPIRED if fates.closed else KILLED
        there = standing.get(session, ())
        if not fates.closed:
            fates.sampled = max(fates.highest, there[-1][1] if there else -1) + 1
            ledgers.append(
                Ledger(
                    camera=camera,
                    session=session,
                    stage="capture",
                    sampled=fates.sampled,
                    skipped=fates.skipped,
                    closed=True,
                )
            )
        gaps += [
            Gap(camera=camera, session=session, first=first, last=last, reason=reason)
            for first, last in subtract(fates.unaccounted(), there)
        ]
    return gaps, ledgers


async def settle(
    connect: Callable[[], AIOKafkaConsumer],
    deployment: Deployment,
    streams: CameraStreams,
    clock: Callable[[], datetime],
) -> None:
    """Close what former processes of this camera left open. `connect` makes consumers without a group."""
    books = await read_books(connect, deployment, clock, camera=streams.camera)
    if not unsettled(books, streams.camera):
        return
    standing = await _standing(connect(), deployment, streams, clock)
    # What detect has done is purged: once more, or a frame that it did meanwhile would be in neither.
    books = await read_books(connect, deployment, clock, camera=streams.camera)
    gaps, ledgers = settlement(books, streams.camera, standing)
    # The ledgers last: killed in between, the next process finds the sessions open and begins again.
    for gap in gaps:
        await streams.gap(gap)
    for ledger in ledgers:
        await streams.ledger(ledger)
    if gaps or ledgers:
        log.warning(
            "camera %s: closed %d sessions that a killed process had left open, and wrote %d gaps",
            streams.camera,
            len(ledgers),
            len(gaps),
        )


async def _standing(
    consumer: AIOKafkaConsumer, deployment: Deployment, streams: CameraStreams, clock: Callable[[], datetime]
) -> Standing:
    found: dict[str, Ranges] = defaultdict(tuple)

    def note(received: Received) -> None:
        if isinstance(received.change, Put):
            frame: Frame = received.change.value
            if frame.id.camera == streams.camera:
                found[frame.id.session] = add(found[frame.id.session], frame.id.sequence)

    follower = Follower(consumer, deployment, (FRAMES,), note, clock=clock, partitions=(streams.partition,))
    try:
        await follower.start()
    finally:
        await follower.stop()
    return found
