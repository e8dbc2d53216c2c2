"""The image of a request: as a body of either kind, or at a URL; too small, too large, no image, a bomb."""

import io
import struct
import zlib
from collections.abc import AsyncIterator, Iterator

import numpy as np
import pytest
import pytest_asyncio
from aiohttp import web
from PIL import Image

from tests.pipeline.api.house import OCTETS, House

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.broker,
    pytest.mark.milvus,
    pytest.mark.timeout(120),
]

NO_ID = {"returnFaceId": "false"}


def spelled(photo: bytes, kind: str) -> bytes:
    """The same photo in another format."""
    out = io.BytesIO()
    Image.open(io.BytesIO(photo)).save(out, kind)
    return out.getvalue()


def bomb() -> bytes:
    """A PNG of 60000 x 60000 pixels in a few kilobytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(4 << 20))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP"])
async def test_the_formats_of_the_contract_are_read(door: House, pictures: dict[str, bytes], kind: str) -> None:
    (face,) = await door.sent("/detect", spelled(pictures["grace"], kind), **NO_ID)
    assert set(face) == {"faceRectangle"}
    assert set(face["faceRectangle"]) == {"top", "left", "width", "height"}


async def test_a_body_may_come_in_pieces(door: House, pictures: dict[str, bytes]) -> None:
    def pieces() -> Iterator[bytes]:
        for start in range(0, len(pictures["grace"]), 10_000):
            yield pictures["grace"][start : start + 10_000]

    async def slowly() -> AsyncIterator[bytes]:
        for piece in pieces():
            yield piece

    answer = await door.ask("POST", "/detect", params=NO_ID, content=slowly(), headers=OCTETS)
    assert len(answer.json()) == 1


async def test_no_face_is_no_error(door: House) -> None:
    noise = np.random.default_rng(7).integers(0, 255, (200, 200, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, "PNG")
    assert await door.sent("/detect", out.getvalue()) == []


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "InvalidImageSize"),
        (b"\xff\xd8\xff" + bytes(1_020), "InvalidImageSize"),
        (b"\xff\xd8\xff" + bytes(6 << 20), "InvalidImageSize"),
        (b"\xff\xd8\xff" + bytes(2_000), "InvalidImage"),
        (b"GIF89a" + bytes(2_000), "InvalidImage"),
        (b"BM" + bytes(2_000), "InvalidImage"),
        (b"RIFF\x00\x10\x00\x00WEBP" + bytes(2_000), "InvalidImage"),
        (b"<svg>" + bytes(2_000), "InvalidImage"),
        (bomb(), "InvalidImage"),
    ],
)
async def test_what_is_no_image_of_the_contract_is_refused(door: House, content: bytes, code: str) -> None:
    answer = await door.ask("POST", "/detect", content=content, headers=OCTETS)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


async def test_webp_is_not_in_the_contract(door: House, pictures: dict[str, bytes]) -> None:
    answer = await door.ask("POST", "/detect", content=spelled(pictures["grace"], "WEBP"), headers=OCTETS)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidImage")


@pytest.mark.parametrize("kind", ["text/plain", "image/jpeg", "multipart/form-data; boundary=x", ""])
async def test_other_content_types_are_a_bad_argument(door: House, pictures: dict[str, bytes], kind: str) -> None:
    answer = await door.ask("POST", "/detect", content=pictures["grace"], headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadArgument")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shelf(pictures: dict[str, bytes]) -> AsyncIterator[str]:
    """A web server with a photo on it, at an address that the settings of the door allow."""

    async def photo(_: web.Request) -> web.Response:
        return web.Response(body=pictures["grace"])

    async def large(_: web.Request) -> web.Response:
        return web.Response(body=bytes((6 << 20) + 1))

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>" + "x" * 2_000)

    application = web.Application()
    application.add_routes([web.get(f"/{each.__name__}", each) for each in (photo, large, page)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def test_an_image_may_stand_at_a_url(door: House, shelf: str) -> None:
    assert len(await door.done("POST", "/detect", {"url": f"{shelf}/photo"}, params=NO_ID)) == 1
    await door.done("PUT", "/facelists/by-url", {"name": "n"})
    assert await door.done("POST", "/facelists/by-url/persistedfaces", {"url": f"{shelf}/photo"})


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("{shelf}/large", "InvalidImageSize"),
        ("{shelf}/page", "InvalidImage"),
        ("{shelf}/none", "InvalidURL"),
        ("http://169.254.169.254/latest/meta-data", "InvalidURL"),
        ("http://[::1]/", "InvalidURL"),
        ("http://localhost.localdomain.invalid/x.jpg", "InvalidURL"),
        ("file:///etc/passwd", "InvalidURL"),
        ("not a url", "InvalidURL"),
        ("", "InvalidURL"),
    ],
)
async def test_a_url_that_cannot_serve_is_told_and_not_repeated(door: House, shelf: str, url: str, code: str) -> None:
    answer = await door.ask("POST", "/detect", json={"url": url.replace("{shelf}", shelf)})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, code)
    assert "169.254" not in error["message"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"url": 5}', b"{}", b'"x"', b"\xff\xfe", b'{"url": "\xff"}', b'{"x":' + b"[" * 60_000]
)
async def test_a_body_that_names_no_url_is_a_bad_argument(door: House, body: bytes) -> None:
    answer = await door.ask("POST", "/detect", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadArgument")


async def test_no_image_reaches_the_disk(door: House, pictures: dict[str, bytes]) -> None:
    await door.detected(pictures["grace"])
    middle = pictures["grace"][20_000:20_064]
    files = [file for file in door.home.path.rglob("*") if file.is_file()]
    assert files
    assert not [file for file in files if middle in file.read_bytes()]
