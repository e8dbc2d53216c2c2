"""Opens what the routes work with: a client of `control`, a recogniser, the web and the models."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import get_args

from connectors.kafka import KafkaAccess
from connectors.web import AllowList, Web
from pipeline.api.callers import SUBSCRIPTION
from pipeline.api.currency import Currency
from pipeline.api.images import Images
from pipeline.api.measuring import Measuring
from pipeline.api.service import Service
from pipeline.operations.detection import Observer
from pipeline.records import Recognition, RecognitionModel
from pipeline.settings import Settings
from pipeline.settings.api import DetectionModel
from pipeline.wiring import Parts
from pipeline.wiring.asking import client
from pipeline.wiring.recognising import recogniser


@asynccontextmanager
async def opened(
    parts: Parts,
    access: KafkaAccess,
    load: Callable[[Recognition], Observer],
    *,
    clock: Callable[[], datetime] | None = None,
) -> AsyncIterator[Service]:
    """A service whose tables and faces are replayed; `load` makes the models of a recognition.

    `clock` stands in for the settings' own.

    Raises what `wiring.asking.client` and `wiring.recognising.recogniser` raise.
    """
    settings = parts.settings
    async with AsyncExitStack() as stack:
        now, deployment = clock or settings.now, settings.deployment()
        patience = float(settings.api.patience)
        asking = await stack.enter_async_context(client(access, deployment, parts.keys, SUBSCRIPTION, now, patience))
        asking = replace(asking, catch_up=Currency(asking.catch_up, patience))
        recognising = await stack.enter_async_context(recogniser(parts, access, asking))
        web = await stack.enter_async_context(Web(AllowList.of(settings.api.allow_hosts)))
        measuring = Measuring(load)
        yield Service(
            client=asking,
            recogniser=recognising,
            images=Images(web, measuring),
            measuring=measuring,
            recognitions=recognitions(settings),
            detections=detections(settings),
        )


def recognitions(settings: Settings) -> dict[RecognitionModel, Recognition]:
    """What the API's recognition models mean: the pack that the settings give each, or that of the deployment."""
    packs, names = settings.api.recognition_models, get_args(RecognitionModel)
    return {name: Recognition(packs.get(name, settings.models.pack), name) for name in names}


def detections(settings: Settings) -> dict[DetectionModel, str]:
    """The packs behind the API's detection models."""
    return {name: settings.api.detection_models.get(name, settings.models.pack) for name in get_args(DetectionModel)}
