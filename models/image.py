"""Decodes what cameras and callers send, and refuses what would cost more memory than a photo may."""

from io import BytesIO

import numpy as np
import simplejpeg  # type: ignore[import-untyped]
from numpy.typing import NDArray
from PIL import Image, ImageOps

from models import ModelError

JPEG_MAGIC = b"\xff\xd8\xff"
EXIF_MARKER = b"Exif\x00\x00"
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
MAX_PIXELS = 50_000_000  # 8660 x 5773: above every camera that a gallery is photographed with


class UnreadableImage(ModelError):
    """The bytes are no image that can be read; the text never says anything about its content."""


def decode(content: bytes, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """An image as uint8 [height, width, 3], BGR, upright (EXIF orientation applied), first frame only.

    Raises UnreadableImage for anything that is no whole JPEG, PNG, GIF, BMP or WebP image of at most `max_pixels`
    pixels. The header is checked before any pixel is decoded.
    """
    if content.startswith(JPEG_MAGIC) and EXIF_MARKER not in content:
        frame = _decode_plain_jpeg(content, max_pixels)
        if frame is not None:
            return frame
    return _decode_any(content, max_pixels)


def encode_jpeg(image: NDArray[np.uint8], quality: int = 85) -> bytes:
    """A baseline JPEG (4:2:0) of a uint8 [height, width, 3] BGR image; `quality` 1..100."""
    contiguous = np.ascontiguousarray(image)
    return bytes(simplejpeg.encode_jpeg(contiguous, quality=quality, colorspace="BGR", colorsubsampling="420"))


def _decode_plain_jpeg(content: bytes, max_pixels: int) -> NDArray[np.uint8] | None:
    """The fast way, for frames of cameras; None where a more patient decoder should judge."""
    try:
        height, width, *_ = simplejpeg.decode_jpeg_header(content)
        _refuse_bomb(width, height, max_pixels)
        frame: NDArray[np.uint8] = simplejpeg.decode_jpeg(content, colorspace="BGR")
    except ValueError:
        return None
    return frame


def _decode_any(content: bytes, max_pixels: int) -> NDArray[np.uint8]:
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            _refuse_bomb(image.width, image.height, max_pixels)
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I;16"):  # Pillow would clip 16 bits to 8 instead of scaling them
                upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
            rgb = np.asarray(upright.convert("RGB"))
    except UnreadableImage:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadableImage(f"the image has more than {max_pixels} pixels: send a smaller one") from error
    except Exception as error:
        # Pillow's decoders raise whatever a broken file makes them stumble over
        raise UnreadableImage(
            f"the {len(content)} bytes are no whole image of a known format: send JPEG, PNG, GIF, BMP or WebP"
        ) from error
    return np.ascontiguousarray(rgb[:, :, ::-1])


def _refuse_bomb(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise UnreadableImage(f"the image is {width}x{height}, allowed are {max_pixels} pixels: send a smaller one")
