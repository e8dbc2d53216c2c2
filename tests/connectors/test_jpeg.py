"""A JPEG shows what the frame showed: colours, range and uprightness, for each pixel format cameras and files use."""

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from connectors.jpeg import encode_frame

BARS = [(255, 255, 255), (0, 0, 0), (40, 60, 200), (60, 200, 60), (220, 80, 40), (128, 128, 128)]


def bars(width: int = 192, height: int = 96) -> NDArray[np.uint8]:
    row = np.repeat(np.array(BARS, np.uint8), width // len(BARS) + 1, axis=0)[:width]
    return np.repeat(row[None], height, axis=0)


def decoded(jpeg: bytes) -> NDArray[np.uint8]:
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return image.astype(np.uint8)


def typical_error(jpeg: bytes, image: NDArray[np.uint8]) -> float:
    """The median: 4:2:0 smears the edges between bars, which says nothing about the colours."""
    return float(np.median(np.abs(decoded(jpeg).astype(int) - image).max(axis=2)))


@pytest.mark.parametrize("format", ["yuv420p", "yuvj420p", "nv12", "yuv422p", "yuv444p", "yuv420p10le", "gray"])
@pytest.mark.parametrize("matrix", [Colorspace.ITU601, Colorspace.ITU709])
def test_colours_survive(format: str, matrix: Colorspace) -> None:
    image = bars() if format != "gray" else np.repeat(bars()[:, :, :1], 3, axis=2)
    full = format in ("yuvj420p", "gray")
    frame = av.VideoFrame.from_ndarray(image, "bgr24").reformat(
        format=format, dst_colorspace=matrix, dst_color_range=ColorRange.JPEG if full else ColorRange.MPEG
    )
    assert typical_error(encode_frame(frame, 95), image) <= 6


@pytest.mark.parametrize(("width", "height"), [(2, 2), (31, 17), (33, 18), (322, 181), (1, 1)])
def test_any_size(width: int, height: int) -> None:
    frame = av.VideoFrame.from_ndarray(bars(width, height), "bgr24").reformat(format="yuv420p")
    assert decoded(encode_frame(frame)).shape == (height, width, 3)
