"""The index made anew by itself, so that vectors which were deleted leave Milvus's files with the old one.

Beside the enrol stage, in its process. A place is due once vectors were deleted from what readers find there and that
is `[milvus] renew` old: so the first deletion after a quiet time leaves at once, and many are gathered into one rebuild
for each such interval. Where nothing was deleted, nothing has to leave, and nothing is done. Whichever process finds a
place due first does it, by the operation of `faceline gallery rebuild`; the others find its lock, and then nothing due.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from typing import Final

from aiokafka.errors import KafkaError  # type: ignore[import-untyped]

from connectors import ServiceRefused, ServiceUnavailable
from connectors.kafka import KafkaAccess
from pipeline.operations.rebuilding import GRACE, LOOK, Rebuilt, rebuild
from pipeline.wiring.asking import client
from pipeline.wiring.galleries.milvus import patiently
from pipeline.wiring.galleries.opening import Templates
from pipeline.wiring.galleries.rebuilding import MilvusRebuilding
from pipeline.wiring.galleries.rotation import Rotations
from pipeline.wiring.stages import Parts

PRINCIPAL: Final = "faceline/enrol"
PATIENCE: Final = 20.0

log = logging.getLogger(__name__)


async def keep_renewed(parts: Parts, access: KafkaAccess) -> None:
    """Look every `LOOK` seconds whether a place is due, for ever; cancel to end. A failure is told and tried again."""
    while True:
        try:
            for each in await renewed(parts, access, parts.settings.now):
                log.info("made %s anew: %d templates", each.place, each.templates)
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
        index = MilvusRebuilding.of(milvus, Rotations(parts.keys))
        # Patiently: an idle connection is one that Milvus Lite has hung up on.
        if not await asyncio.to_thread(patiently, lambda: index.due(made_before), PATIENCE):
            return []
        opening = Templates(parts.keys, parts.catalogue)
        # The tables are held for as long as it takes, and not between two rebuilds.
        async with client(access, settings.deployment(), parts.keys, PRINCIPAL, now) as asking:
            return await rebuild(asking, index, opening.enrolled, made_before=made_before, grace=grace)
