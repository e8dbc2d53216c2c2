"""What every route works with: the operations' client, the images of requests, and what the model names stand for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from starlette.responses import Response

from pipeline.api.answers import Answer
from pipeline.api.images import Images
from pipeline.api.measuring import Measuring
from pipeline.api.versions import VERSIONS, Version
from pipeline.operations.client import Client
from pipeline.operations.recogniser import Recogniser
from pipeline.records import Recognition, RecognitionModel
from pipeline.settings.api import DetectionModel

RETRY = {"Retry-After": "1"}


@dataclass(frozen=True, slots=True)
class Service:
    """One of a process. `recognitions` and `detections` say which model pack a name of the Face API means here."""

    client: Client
    recogniser: Recogniser
    images: Images
    measuring: Measuring
    recognitions: Mapping[RecognitionModel, Recognition]
    detections: Mapping[DetectionModel, str]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, as the operations see it.

    `request_id` is the same for a request that the caller repeats. `base` is the address that the caller used, up to
    the version.
    """

    service: Service
    client: Client
    version: Version
    request_id: str
    base: str

    def accepted(self, status: str, resource: str | None = None, made: Answer | None = None) -> Response:
        """202, with the address where the operation's status is and that of what it made, below the version's."""
        headers = {"Operation-Location": f"{self.base}/{status}", **RETRY}
        if resource is not None:
            headers["Location"] = f"{self.base}/{resource}"
        if made is None:
            return Response(None, 202, headers)
        return Response(made.model_dump_json(by_alias=True), 202, headers, media_type="application/json")

    @property
    def operation(self) -> str:
        """Where the status of what this request asked for is, below the version's address."""
        return f"operations/{self.client.operation_id(self.request_id)}"


async def asked(request: Request) -> Asked:
    """The dependency of every route. A coroutine, because FastAPI calls anything else in a thread."""
    service: Service = request.app.state.service
    scope = request.scope
    version = VERSIONS[scope["path"].split("/")[2]]
    given = scope["state"]["client_request_id"] or service.client.new_id()
    host = request.headers.get("host") or ":".join(map(str, scope.get("server") or ("localhost",)))
    client = service.client.for_principal(scope["state"]["principal"].name)
    request_id = f"{request.method} {scope['path']} {given}"
    scope["state"]["operation_id"] = client.operation_id(request_id)
    return Asked(
        service=service,
        client=client,
        version=version,
        request_id=request_id,
        base=f"{scope['scheme']}://{host}{version.prefix}",
    )


Asking = Annotated[Asked, Depends(asked)]


async def current(asked: Asking) -> Asked:
    """The same, once the tables show everything that was acknowledged before the request."""
    await asked.client.catch_up()
    return asked


Current = Annotated[Asked, Depends(current)]


def done() -> Response:
    """200 without a body."""
    return Response(status_code=200)
