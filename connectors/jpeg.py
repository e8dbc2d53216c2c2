"""Turns a decoded frame into a JPEG without the detour through RGB, where its planes allow that."""

from __future__ import annotations

import av
import cv2
import numpy as np
import simplejpeg  # type: ignore[import-untyped]
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

Plane = NDArray[np.uint8]

# JPEG stores full-range BT.601 (ITU-T T.871, 7); video mostly stores luma 16..235 and chroma 16..240 (BT.601, 2.5.3).
_CODES = np.arange(256)
FULL_LUMA: Plane = np.clip(np.rint((_CODES - 16) * 255 / 219), 0, 255).astype(np.uint8)
FULL_CHROMA: Plane = np.clip(np.rint((_CODES - 128) * 255 / 224 + 128), 0, 255).astype(np.uint8)

_UNSPECIFIED, _SMPTE170M = 2, 6  # ITU-T H.273, table 4; 6 has the matrix of 5 (BT.601)
_JPEG_MATRIX = frozenset({_UNSPECIFIED, int(Colorspace.ITU601), _SMPTE170M})


def encode_frame(frame: av.VideoFrame, quality: int = 85) -> bytes:
    """Encode a frame of any pixel format as a 4:2:0 baseline JPEG, upright, full range.

    Planar 4:2:0 in the matrix of JPEG (or untagged, which cameras below 720p mean so) is encoded from its planes. All
    else (BT.709, 10 bit, 4:4:4, NV12, RGB) goes through BGR, which converts matrix and range. `quality` is 1..100.
    """
    turns = int(frame.rotation / 90) % 4  # the display matrix of a phone's clip, counter-clockwise degrees
    if frame.format.name in ("yuv420p", "yuvj420p") and frame.colorspace in _JPEG_MATRIX:
        luma, blue, red = (_turned(plane, turns) for plane in _planes(frame))
        return bytes(simplejpeg.encode_jpeg_yuv_planes(luma, blue, red, quality))
    image = np.asarray(frame.to_ndarray(format="bgr24"), dtype=np.uint8)
    return bytes(simplejpeg.encode_jpeg(_turned(image, turns), quality, "BGR", "420"))


def _turned(plane: Plane, turns: int) -> Plane:
    return np.ascontiguousarray(np.rot90(plane, turns))


def _planes(frame: av.VideoFrame) -> tuple[Plane, Plane, Plane]:
    luma, blue, red = (
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        for plane in frame.planes
    )
    if frame.format.name == "yuvj420p" or frame.color_range == ColorRange.JPEG:
        return luma, blue, red
    return (_mapped(luma, FULL_LUMA), _mapped(blue, FULL_CHROMA), _mapped(red, FULL_CHROMA))


def _mapped(plane: Plane, table: Plane) -> Plane:
    return np.asarray(cv2.LUT(plane, table), dtype=np.uint8)
