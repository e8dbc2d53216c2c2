"""The image of a request: as its body, or at a URL that its body names. It is held in memory alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from starlette.requests import ClientDisconnect, Request

from connectors.web import TooLong, Unfetchable, Web
from pipeline.api.errors import Problem, bad_argument
from pipeline.api.measuring import Measuring
from pipeline.operations.photos import Portraitist, UnreadablePhoto

SMALLEST: Final = 1 << 10
LARGEST: Final = 6 << 20
LARGEST_JSON: Final = 64 << 10
# Whoever sends too much is listened to a little longer: a client in the middle of its sentence hears no answer.
DRAINED: Final = 4 * LARGEST
BODY_SECONDS: Final = 60.0
STREAM, JSON = "application/octet-stream", "application/json"
MAGIC: Final = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM")

IMAGE_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            STREAM: {"schema": {"type": "string", "format": "binary", "minLength": SMALLEST, "maxLength": LARGEST}},
            JSON: {
                "schema": {
                    "type": "object",
                    "required": ["url"],
                    "properties": {"url": {"type": "string", "format": "uri"}},
                }
            },
        },
    }
}


class Named(msgspec.Struct):
    """The body of a request that names its image."""

    url: str


@dataclass(frozen=True, slots=True)
class Images:
    """Takes the images of requests, as many at once as the models have places for."""

    web: Web
    measuring: Measuring

    @asynccontextmanager
    async def of(self, request: Request) -> AsyncIterator[bytes]:
        """The bytes of the request's image, 1 KB to 6 MB of a JPEG, PNG, GIF or BMP file; or a Problem."""
        with self.measuring.place():
            yield _checked(await self._taken(request))

    async def _taken(self, request: Request) -> bytes:
        match request.headers.get("content-type", "").partition(";")[0].strip().lower():
            case "application/octet-stream":
                return await _body(request, LARGEST, _wrong_size())
            case "application/json":
                return await self._fetched(
                    await _body(request, LARGEST_JSON, bad_argument("Request body is too long."))
                )
            case _:
                raise bad_argument(f"Content-Type is invalid: send {STREAM} or {JSON}.")

    async def _fetched(self, body: bytes) -> bytes:
        try:
            url = msgspec.json.decode(body, type=Named).url
        except msgspec.ValidationError:
            raise bad_argument("'url' is invalid: it is required.") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise bad_argument("Request body is invalid: JSON parsing error.") from None
        try:
            return await self.web.read(url, limit=LARGEST)
        except TooLong:
            raise _wrong_size() from None
        except Unfetchable as error:
            raise Problem(
                400, "InvalidURL", f"Invalid image URL or error downloading from target server: {error}."
            ) from None


async def _body(request: Request, limit: int, excess: Problem) -> bytes:
    content, length = bytearray(), 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                length += len(chunk)
                if length <= limit:
                    content += chunk
                elif length > DRAINED:
                    break
    except (TimeoutError, ClientDisconnect):
        raise bad_argument("Request body is invalid: it does not arrive.") from None
    if length > limit:
        raise excess
    return bytes(content)


def _checked(content: bytes) -> bytes:
    if not SMALLEST <= len(content) <= LARGEST:
        raise _wrong_size()
    if not content.startswith(MAGIC):
        raise undecodable()
    return content


def decoded(content: bytes, models: Portraitist) -> NDArray[np.uint8]:
    """The image, upright, BGR uint8 (height, width, 3); a Problem where the bytes are none. Blocks."""
    try:
        return models.decode(content)
    except UnreadablePhoto:
        raise undecodable() from None


def _wrong_size() -> Problem:
    return Problem(400, "InvalidImageSize", "Image size is too small or too big: 1 KB to 6 MB are allowed.")


def undecodable() -> Problem:
    """The bytes are no image of the contract."""
    return Problem(400, "InvalidImage", "Decoding error, image format unsupported.")
