"""What goes wrong, as the Face API says it: a status, a code and a message that repeats nothing of the request."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from starlette.responses import JSONResponse

ERROR_HEADER: Final = "x-ms-error-code"
RETRY_SECONDS: Final = 1
DENIED: Final = "Access denied due to invalid subscription key or wrong API endpoint."
GALLERIES: Final = {
    "FaceList": "Face list",
    "LargeFaceList": "Large face list",
    "PersonGroup": "Person group",
    "LargePersonGroup": "Large person group",
    "DynamicPersonGroup": "Dynamic person group",
}
# Operations that name their objects in the body: what is not there is a bad request to them, not a missing page.
BY_BODY: Final = frozenset({"identify", "find_similar", "group"})
# Of what a verification names, faces and persons are what it asks for; the group is only where to look.
SOUGHT: Final = frozenset({"FaceNotFound", "PersonNotFound", "PersistedFaceNotFound"})


class Problem(Exception):
    """A request ends with this answer."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})

    def response(self) -> JSONResponse:
        """The answer itself."""
        body = {"error": {"code": self.code, "message": self.message}}
        return JSONResponse(body, self.status, {ERROR_HEADER: self.code, **self.headers})


def bad_argument(message: str) -> Problem:
    """The request says what the contract does not allow."""
    return Problem(400, "BadArgument", message)


def denied() -> Problem:
    """Nobody we know asks."""
    return Problem(401, "401", DENIED)


def too_often(seconds: float) -> Problem:
    """The caller is welcome again in `seconds`."""
    whole = max(RETRY_SECONDS, -int(-seconds // 1))
    return Problem(429, "429", "Rate limit is exceeded.", {"Retry-After": str(whole)})


def unavailable() -> Problem:
    """A part of the deployment does not answer; the same request, sent again, gets the first one's outcome."""
    message = "The service is temporarily unable to answer; send the request again."
    return Problem(503, "ServiceUnavailable", message, {"Retry-After": str(RETRY_SECONDS)})


def internal(request_id: str) -> Problem:
    """A bug of ours: the log has it under the request's id."""
    return Problem(500, "InternalServerError", f"Internal server error; the server's log has it as {request_id}.")


def refused(operation: str, code: str, message: str) -> Problem:
    """What an operation refused; `operation` is the route's name."""
    return Problem(status_of(operation, code), code, MESSAGES.get(code, message))


def status_of(operation: str, code: str) -> int:
    """The one table of statuses: the same code is another status to another operation."""
    if code.endswith(("NotFound", "NotTrained")):
        if operation in BY_BODY:
            return 400
        return 400 if operation == "verify" and code not in SOUGHT else 404
    if code.endswith(("Exists", "TrainingNotFinished", "Conflict")):
        return 409
    return {"UnsupportedFeature": 403, "QuotaExceeded": 403, "InternalServerError": 500}.get(code, 400)


def _messages() -> Iterator[tuple[str, str]]:
    for thing in ("Face", "Person", "Persisted face", "Operation", "Session"):
        yield f"{thing.title().replace(' ', '')}NotFound", f"{thing} is not found."
    for code, thing in GALLERIES.items():
        yield f"{code}NotFound", f"{thing} is not found."
        yield f"{code}Exists", f"{thing} already exists."
        yield f"{code}NotTrained", f"{thing} is not trained."
        yield f"{code}TrainingNotFinished", f"{thing} is under training."


MESSAGES: Final = dict(_messages())

# What pydantic calls a mistake, in words that cannot quote the value.
REASONS: Final = {
    "missing": "it is required",
    "string_too_short": "it is too short",
    "string_too_long": "it is too long",
    "too_short": "it has too few items",
    "too_long": "it has too many items",
    "greater_than_equal": "it is too small",
    "less_than_equal": "it is too large",
    "literal_error": "it is none of the allowed values",
    "enum": "it is none of the allowed values",
    "string_pattern_mismatch": "it has characters that are not allowed",
    "json_invalid": "JSON parsing error",
}


def invalid(mistakes: Sequence[Any]) -> Problem:
    """The first of pydantic's mistakes; only fields of the contract are named, nothing that was sent is repeated."""
    first = mistakes[0]
    kind, place = first["type"], [part for part in first["loc"] if isinstance(part, str)]
    if kind == "json_invalid":
        return bad_argument("Request body is invalid: JSON parsing error.")
    if kind == "value_error":
        return bad_argument(str(first["ctx"]["error"]))
    if place[1:]:
        return bad_argument(f"'{place[1]}' is invalid: {REASONS.get(kind, 'it is of the wrong type')}.")
    return bad_argument("Request body is invalid: a JSON object is required.")
