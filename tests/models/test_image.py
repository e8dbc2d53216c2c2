"""Images as they come: upright, whole, small enough, or refused."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from models.image import UnreadableImage, decode, encode_jpeg

ORIENTATION = 0x0112


def encoded(image: NDArray[np.uint8], form: str, **options: object) -> bytes:
    stream = BytesIO()
    Image.fromarray(image).save(stream, form, **options)
    return stream.getvalue()


def halves() -> NDArray[np.uint8]:
    """40 x 20 RGB: left half red, right half blue."""
    image = np.zeros((20, 40, 3), np.uint8)
    image[:, :20, 0] = image[:, 20:, 2] = 255
    return image


def png_header(width: int, height: int) -> bytes:
    """A valid PNG up to where its (absent) pixels begin."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header)) + b"\0\0\1\0IDAT"
    )


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "WEBP", "GIF"])
def test_every_format_is_read_as_bgr(form: str) -> None:
    image = decode(encoded(halves(), form))
    assert image.shape == (20, 40, 3)
    assert image.dtype == np.uint8
    np.testing.assert_allclose(image[10, 5], (0, 0, 255), atol=8)
    np.testing.assert_allclose(image[10, 35], (255, 0, 0), atol=8)


def test_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # the camera was held upright: turn by 90 degrees clockwise
    image = decode(encoded(halves(), "JPEG", exif=exif))
    assert image.shape == (40, 20, 3)
    np.testing.assert_allclose(image[5, 10], (0, 0, 255), atol=8)


def test_transparency_and_depth_are_flattened() -> None:
    assert decode(encoded(np.full((9, 7, 4), 200, np.uint8), "PNG")).shape == (9, 7, 3)
    deep = decode(encoded(np.full((9, 7), 200 << 8, np.uint16), "PNG"))
    assert np.unique(deep).tolist() == [200]


def test_a_jpeg_survives_its_own_encoder(astronaut: NDArray[np.uint8]) -> None:
    again = decode(encode_jpeg(astronaut, quality=95))
    assert float(np.abs(again.astype(int) - astronaut).mean()) < 3


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("kept", [0.3, 0.7, 0.95])
def test_a_truncated_image_is_refused(form: str, kept: float, astronaut: NDArray[np.uint8]) -> None:
    content = encoded(astronaut, form)
    with pytest.raises(UnreadableImage, match="no whole image"):
        decode(content[: int(len(content) * kept)])


@pytest.mark.parametrize("content", [png_header(60_000, 60_000), png_header(8_000, 8_000)])
def test_a_bomb_is_refused_by_its_header(content: bytes) -> None:
    with pytest.raises(UnreadableImage, match="50000000 pixels"):
        decode(content)


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_the_limit_is_the_callers(form: str) -> None:
    content = encoded(halves(), form)
    assert decode(content, max_pixels=800).shape == (20, 40, 3)
    with pytest.raises(UnreadableImage, match="40x20, allowed are 799 pixels"):
        decode(content, max_pixels=799)


@given(
    st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"RIFF"])
)
def test_noise_is_refused_and_nothing_worse(noise: bytes, magic: bytes) -> None:
    with pytest.raises(UnreadableImage) as caught:
        decode(magic + noise)
    assert "\n" not in str(caught.value)
