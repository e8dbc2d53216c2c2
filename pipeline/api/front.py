"""The outermost of every request: it gets an id, an answer of the contract whatever happens, a log line and a measure.

The log line has the route's template and the status; never a query, a body or a name.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Final

from aiokafka.errors import KafkaError  # type: ignore[import-untyped]
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connectors import ServiceRefused, ServiceUnavailable
from pipeline.api.callers import Callers
from pipeline.api.errors import Problem, bad_argument, internal, refused, unavailable
from pipeline.metrics import Metrics
from pipeline.operations import Forgotten, Refused, Unanswered

log = logging.getLogger(__name__)

REQUEST_ID: Final = (b"x-ms-request-id", b"apim-request-id")
CLIENT_REQUEST_ID: Final = b"x-ms-client-request-id"
LONGEST_ID: Final = 128
ERASURE: Final = b"faceline-erasure"  # names the receipt of a deletion
GUARDED: Final = "/face/"
UNMATCHED: Final = "none"
# A deployment on its way up or down: not a bug, and worth asking again.
ABSENT: Final = (ServiceUnavailable, Unanswered, KafkaError, TimeoutError)
REQUEST_SECONDS: Final = 90.0
IMAGE_TYPE: Final = b"application/octet-stream"
LARGEST_BODY: Final = 1 << 20


class Front:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, *, callers: Callers, metrics: Metrics, new_id: Callable[[], str]) -> None:
        self._app = app
        self._callers = callers
        self._metrics = metrics
        self._new_id = new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # An endpoint with a slash at its end makes two of them here; the SDKs send them so.
        scope["path"] = f"/{scope['path'].lstrip('/')}"
        began, request_id, status = time.perf_counter(), self._new_id(), 0
        scope.setdefault("state", {})["client_request_id"] = client_request_id(scope)

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *_identifying(scope, request_id, status)]
            await send(message)

        try:
            if scope["path"].startswith(GUARDED):
                scope["state"]["principal"] = self._callers.admitted(scope["headers"])
            async with asyncio.timeout(REQUEST_SECONDS):
                await self._app(scope, _bounded(scope, receive), answer)
        except Exception as error:
            problem = _problem(error, _operation(scope), request_id)
            if status:
                raise
            await problem.response()(scope, receive, answer)
        finally:
            self._tell(scope, request_id, status, time.perf_counter() - began)

    def _tell(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        route = scope.get("route")
        operation = _operation(scope)
        # The first two parts of a path that was matched are ours: /face and the version.
        template = UNMATCHED if route is None else "/".join(scope["path"].split("/")[:3]) + route.path
        self._metrics.requests.labels(operation, str(status)).inc()
        self._metrics.request_seconds.labels(operation).observe(seconds)
        principal = scope["state"].get("principal")
        log.info(
            "answered",
            extra={
                "method": scope["method"],
                "route": template,
                "status": status,
                "seconds": round(seconds, 4),
                "request": request_id,
                "principal": None if principal is None else principal.name,
            },
        )


def _bounded(scope: Scope, receive: Receive) -> Receive:
    """The body, cut off where it is longer than any of the contract's; images are measured by whoever takes them."""
    if dict(scope["headers"]).get(b"content-type", b"").startswith(IMAGE_TYPE):
        return receive
    length = 0

    async def piece() -> Message:
        nonlocal length
        message = await receive()
        length += len(message.get("body", b""))
        if length > LARGEST_BODY:
            raise bad_argument("Request body is invalid: it is too long.")
        return message

    return piece


def client_request_id(scope: Scope) -> str | None:
    """The id that the caller gave to the request, the same for a retry; None for one too long to be an id."""
    given = dict(scope["headers"]).get(CLIENT_REQUEST_ID, b"")
    return given.decode("latin-1") if 0 < len(given) <= LONGEST_ID else None


def _identifying(scope: Scope, request_id: str, status: int) -> Iterable[tuple[bytes, bytes]]:
    erasure = scope["state"].get("operation_id")
    if scope["method"] == "DELETE" and status < 300 and erasure is not None:
        yield ERASURE, erasure.encode()
    yield from ((name, request_id.encode()) for name in REQUEST_ID)
    if (given := scope["state"]["client_request_id"]) is not None:
        yield CLIENT_REQUEST_ID, given.encode("latin-1")


def _operation(scope: Scope) -> str:
    route = scope.get("route")
    return UNMATCHED if route is None else str(route.name)


def _problem(error: Exception, operation: str, request_id: str) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, Refused):
        return refused(operation, error.code, str(error))
    if isinstance(error, Forgotten):
        return Problem(409, "ConcurrentOperationConflict", "It was deleted at the same moment.")
    if isinstance(error, ABSENT):
        log.warning("a part of the deployment is absent (%s)", type(error).__name__, extra={"request": request_id})
        return unavailable()
    if isinstance(error, ServiceRefused):
        # The operator's to mend, and its text names what: nothing that the caller could do, but ask later.
        log.error("a part of the deployment refuses: %s", error, extra={"request": request_id})
        return unavailable()
    log.error("failed", exc_info=error, extra={"request": request_id})
    return internal(request_id)
