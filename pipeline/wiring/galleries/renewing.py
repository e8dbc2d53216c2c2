"""The index made anew by itself, so that vectors which were deleted leave Milvus's files with the old one.

Once an hour it is also swept: enrol reads what is not committed yet, and some of that never comes to be.

Beside the enrol stage, in its process. A place is due once vectors were deleted from what readers find there and that
is `[milvus] renew` old: so the first deletion after a quiet time leaves at once, and many are gathered into one rebuild
for each such interval. Where nothing was deleted, nothing has to leave, and nothing is done. Whichever process finds a
place due first does it, by the operation of `faceline gallery rebuild`; the others find its lock, and then nothing due.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from typing import Final

from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

from connectors import ServiceRefused, ServiceUnavailable
from connectors.kafka import KafkaAccess
from pipeline.operations.index import orphans
from pipeline.operations.rebuilding import GRACE, LOOK, Rebuilt, rebuild
from pipeline.wiring.asking import client
from pipeline.wiring.galleries.contents import MilvusContents
from pipeline.wiring.galleries.index import MilvusIndex
from pipeline.wiring.galleries.milvus import patiently
from pipeline.wiring.galleries.opening import Templates
from pipeline.wiring.galleries.rebuilding import MilvusRebuilding
from pipeline.wiring.galleries.rotation import Rotations
from pipeline.wiring.stages import Parts

PRINCIPAL: Final = "faceline/enrol"
FIRST_SWEEP: Final = 600.0
SWEEP: Final = 3_600.0
PATIENCE: Final = 20.0

log = logging.getLogger(__name__)


async def keep_renewed(parts: Parts, access: KafkaAccess) -> None:
    """Look every `LOOK` seconds whether a place is due, for ever; cancel to end. A failure is told and tried again."""
    # Not at once: who begins anew after a death has better to do.
    sweep_at = time.monotonic() + FIRST_SWEEP
    while True:
        try:
            for each in await renewed(parts, access, parts.settings.now):
                log.info("made %s anew: %d templates", each.place, each.templates)
            if time.monotonic() >= sweep_at:
                if gone := await swept(parts, access):
                    log.info("took %d templates out of the index that live no more", gone)
                sweep_at = time.monotonic() + SWEEP
        except (ServiceRefused, ServiceUnavailable, KafkaError) as error:
            log.warning("the index was not made anew, to be tried again in %g s: %s", LOOK, error)
        except Exception:
            # Not the stage's to die of: what it enrols is found meanwhile.
            log.exception("the index was not made anew, to be tried again in %g s", LOOK)
        await asyncio.sleep(LOOK)


async def renewed(
    parts: Parts, access: KafkaAccess, now: Callable[[], datetime], *, grace: float = GRACE
) -> list[Rebuilt]:
    """Make the places anew that are due; those."""
    settings = parts.settings
    made_before = now() - timedelta(seconds=settings.milvus.renew)
    with closing(parts.milvus()) as milvus:
        index = MilvusRebuilding.of(milvus, Rotations(parts.keys), now)
        # Patiently: an idle connection is one that Milvus Lite has hung up on.
        if not await asyncio.to_thread(patiently, lambda: index.due(made_before), PATIENCE):
            return []
        opening = Templates(parts.keys, parts.catalogue)
        # The tables are held for as long as it takes, and not between two rebuilds.
        async with client(access, settings.deployment(), parts.keys, PRINCIPAL, now) as asking:
            return await rebuild(asking, index, opening.enrolled, made_before=made_before, grace=grace)


async def swept(parts: Parts, access: KafkaAccess) -> int:
    """Take out of the index what does not live; how many that were. The live set names none of them meanwhile."""
    settings = parts.settings
    with closing(parts.milvus()) as milvus:
        index = MilvusIndex(milvus, parts.catalogue, Rotations(parts.keys))
        async with client(access, settings.deployment(), parts.keys, PRINCIPAL, settings.now) as asking:
            gone = sorted(await orphans(asking, MilvusContents(milvus)))
        if gone:
            await asyncio.to_thread(index.delete, gone)
            await asyncio.to_thread(index.flush)
    return len(gone)
