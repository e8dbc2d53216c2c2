"""The application: one core, under the address of every version, and its OpenAPI document."""

from collections.abc import Callable
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from pipeline.api import answers
from pipeline.api.callers import Callers
from pipeline.api.errors import Problem, invalid
from pipeline.api.front import Front
from pipeline.api.kinds import FACE_LIST, LARGE_FACE_LIST, LARGE_PERSON_GROUP, PERSON_GROUP
from pipeline.api.routes import collections, detect, directory, dynamic_groups, faces, liveness, persons, recognition
from pipeline.api.service import Service
from pipeline.api.versions import VERSIONS, Version
from pipeline.metrics import Metrics

TITLE: Final = "Faceline, a Face API"
# FastAPI would hand bodies, arguments and what was wrong with them to whatever OpenTelemetry finds in the environment.
SILENT: Final[TelemetryConfig] = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": answers.Error, "description": meaning}
    for status, meaning in (
        (400, "The request is not what the contract allows"),
        (401, "No live key"),
        (403, "A quota, or a retired feature"),
        (404, "No such thing"),
        (409, "It is there already, or under training"),
        (429, "Too many requests"),
        (503, "A part of the deployment does not answer"),
    )
}


def application(service: Service, callers: Callers, metrics: Metrics, new_id: Callable[[], str]) -> FastAPI:
    """The ASGI application, ready to serve."""
    app = FastAPI(
        title=TITLE,
        version="1",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=SILENT,
        generate_unique_id_function=_operation_id,
        exception_handlers={HTTPException: _unmatched, RequestValidationError: _invalid},
    )
    app.state.service = service
    for version in VERSIONS.values():
        app.include_router(offered(version), prefix=version.prefix, responses=PROBLEMS, tags=[version.name])
    app.add_middleware(Front, callers=callers, metrics=metrics, new_id=new_id)
    return app


def offered(version: Version) -> APIRouter:
    """What a version has."""
    router = APIRouter()
    parts = [detect.router, recognition.router, liveness.router]
    parts += [collections.administration(FACE_LIST), collections.face_lists(), faces.of_lists(FACE_LIST)]
    parts += [collections.administration(LARGE_FACE_LIST), collections.listing(LARGE_FACE_LIST)]
    parts += [collections.training(LARGE_FACE_LIST), faces.of_lists(LARGE_FACE_LIST), faces.of_large_lists()]
    for kind in (PERSON_GROUP, LARGE_PERSON_GROUP):
        parts += [collections.administration(kind), collections.listing(kind), collections.training(kind)]
        parts += [persons.of_groups(kind), faces.of_persons(kind)]
    if version.directory:
        parts += [directory.router, dynamic_groups.router]
    for part in parts:
        router.include_router(part)
    return router


def _operation_id(route: APIRoute) -> str:
    version = route.path_format.split("/")[2] if route.path_format.startswith("/face/") else ""
    return f"{route.name}_{version}"


async def _unmatched(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 404:
        return Problem(404, "404", "Resource not found.").response()
    if error.status_code == 405:
        return Problem(405, "405", "Method not allowed.", error.headers).response()
    return Problem(error.status_code, "BadArgument", "Request is invalid.", error.headers).response()


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    return invalid(error.errors()).response()
