"""From the image of a request to the one face in it that is to be enrolled."""

import asyncio

from starlette.requests import Request

from pipeline.api.images import decoded
from pipeline.api.service import Service
from pipeline.operations import photos
from pipeline.operations.photos import Portrait
from pipeline.records import Box, Recognition
from pipeline.settings.api import DetectionModel


async def portrait(
    service: Service, request: Request, recognition: Recognition, detection: DetectionModel, target: str | None
) -> Portrait:
    """The only face of the image, or the one at `target` (left,top,width,height), measured by the recognition's pack.

    Problem for an image that is none, Refused (InvalidImage) where there is no face, or more than one.
    """
    where = None if target is None else Box(*(int(length) for length in target.split(",")))
    finder = service.detections[detection]
    async with service.images.of(request) as content, service.measuring.models(finder, recognition) as models:

        def measured() -> Portrait:
            return photos.target(decoded(content, models), models, where)

        return await asyncio.to_thread(measured)
