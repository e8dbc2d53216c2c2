"""What recognition needs of the outside: a view of the faces, a gallery, the packs' comparison, and keys."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from typing import TYPE_CHECKING

from connectors import kafka
from connectors.kafka import KafkaAccess
from connectors.kafka_admin import KafkaAdmin
from pipeline.operations import Unanswered
from pipeline.operations.client import Client
from pipeline.operations.faces import Faces
from pipeline.operations.indexing import Indexing
from pipeline.operations.recogniser import Recogniser
from pipeline.operations.training import Trainer
from pipeline.topology import ENROL, FACES, TEMPLATES, Deployment
from pipeline.views import FaceView, Follower
from pipeline.wiring.comparison import PackComparison
from pipeline.wiring.galleries import Templates, gallery
from pipeline.wiring.stages import Parts

if TYPE_CHECKING:
    from connectors.milvus import Milvus


# Somebody waits for the answer, and is better told than kept waiting.
MILVUS_PATIENCE = 5.0
KAFKA_PATIENCE = 15.0


@asynccontextmanager
async def recogniser(parts: Parts, access: KafkaAccess, client: Client) -> AsyncIterator[Recogniser]:
    """A recogniser whose view of the faces is replayed, and which searches what `client` shows.

    Raises ModelError where an operator's threshold is of no use to its model.
    """
    deployment = parts.settings.deployment()
    templates = Templates(parts.keys, parts.catalogue)
    comparison = PackComparison.of(parts.catalogue, parts.settings.identify.thresholds)
    async with AsyncExitStack() as opened:
        faces = await opened.enter_async_context(_faces(parts, access, deployment, client, templates))

        def milvus() -> Milvus:
            return opened.enter_context(closing(parts.milvus()))

        def indexed() -> Mapping[int, int]:
            return admin.committed(deployment.group(ENROL), deployment.name(TEMPLATES))

        engine = parts.settings.identify.engine
        admin = opened.enter_context(closing(KafkaAdmin(access)))
        yield Recogniser(
            faces=faces,
            gallery=gallery(engine, parts.catalogue, templates, client.tables.live, milvus, patience=MILVUS_PATIENCE),
            comparison=comparison,
            trainer=Trainer(admin, deployment),
            indexing=Indexing(indexed if engine == "milvus" else None),
            open_template=templates.enrolled,
        )


@asynccontextmanager
async def _faces(
    parts: Parts, access: KafkaAccess, deployment: Deployment, client: Client, templates: Templates
) -> AsyncIterator[Faces]:
    view, ends, producer = FaceView(), kafka.consumer(access, committed=False), kafka.producer(access)
    now = parts.settings.now
    follower = Follower(kafka.consumer(access), deployment, (FACES,), view.apply, clock=now, ends=ends)
    async with AsyncExitStack() as opened:
        for each in (producer, ends, follower):
            opened.push_async_callback(each.stop)
            await each.start()
        running = asyncio.create_task(follower.run())
        opened.push_async_callback(_ended, running)

        async def catch_up() -> None:
            if running.done():
                running.result()
            try:
                async with asyncio.timeout(KAFKA_PATIENCE):
                    await follower.catch_up()
            except TimeoutError:
                raise Unanswered(
                    f"the faces were not current within {KAFKA_PATIENCE:g} s: Kafka may be away; see `faceline status`"
                ) from None

        yield Faces(
            view=view,
            catch_up=catch_up,
            producer=producer,
            deployment=deployment,
            keys=parts.keys,
            open_face=templates.of_face,
            clock=client.clock,
            new_id=client.new_id,
        )


async def _ended(running: asyncio.Task[None]) -> None:
    running.cancel()
    # Whatever else ended it, the next to catch up has heard.
    with suppress(asyncio.CancelledError, Exception):
        await running
