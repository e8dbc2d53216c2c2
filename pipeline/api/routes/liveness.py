"""Liveness sessions: there are none here, which is what their addresses say."""

from fastapi import APIRouter
from starlette.responses import Response

from pipeline.api.errors import MESSAGES, Problem

router = APIRouter()

SESSIONS = (
    "/detectLiveness/singleModal/sessions",
    "/detectLivenessWithVerify/singleModal/sessions",
    "/detectLiveness-sessions",
    "/detectLivenessWithVerify-sessions",
    "/session/sessionImages",
    "/sessionImages",
)


async def absent() -> Response:
    raise Problem(404, "SessionNotFound", MESSAGES["SessionNotFound"])


for place in SESSIONS:
    for suffix in ("", "/{sessionId}", "/{sessionId}/audit"):
        router.add_api_route(
            f"{place}{suffix}", absent, methods=["GET", "POST", "DELETE"], include_in_schema=False, name="liveness"
        )
