"""Time in a stream: which frames are due at a wanted rate, and what wall-clock time a frame was taken at."""

from __future__ import annotations

import math
import struct

import av
from av.packet import Packet
from av.video.stream import VideoStream

_EARLY = 0.25  # of an interval: time stamps jitter, and a frame just before its time is better than the one after it
_DEFAULT_RATE = 25.0  # frames per second of a stream that tells neither time stamps nor a rate


class Sampler:
    """Picks frames on an even grid of `fps` per second; starts a new grid after a gap or a jump back.

    ValueError when fps is not a positive number.
    """

    def __init__(self, fps: float) -> None:
        if not (math.isfinite(fps) and fps > 0):
            raise ValueError(f"fps is {fps}: give a number greater than 0")
        self._interval = 1.0 / fps
        self._due = -math.inf
        self._last = -math.inf

    def due(self, seconds: float) -> bool:
        """Whether the frame at this media time is to be taken; call it once per frame, in order."""
        jumped_back = seconds < self._last - self._interval
        self._last = seconds
        if jumped_back:
            self._due = seconds
        if seconds < self._due - _EARLY * self._interval:
            return False
        late = seconds - self._due >= self._interval
        self._due = (seconds if late else self._due) + self._interval
        return True


class MediaClock:
    """Media time of frames, in seconds, and its distance from the camera's wall clock where RTCP told it."""

    def __init__(self) -> None:
        self._offset: float | None = None
        self._previous: float | None = None
        self._step = 1.0 / _DEFAULT_RATE

    def note(self, packet: Packet[VideoStream]) -> None:
        """Learn from a packet. After the first RTCP sender report each carries its wall clock as side data `prft`."""
        if packet.stream.average_rate:
            self._step = 1.0 / float(packet.stream.average_rate)
        if packet.pts is None or not packet.has_sidedata("prft"):
            return
        # AVProducerReferenceTime (libavcodec/defs.h): int64 wallclock in microseconds, int flags.
        (microseconds,) = struct.unpack_from("=q", bytes(packet.get_sidedata("prft")))
        self._offset = microseconds / 1e6 - float(packet.pts * packet.time_base)

    def seconds(self, frame: av.VideoFrame) -> float:
        """Media time of a frame; one without a time stamp (raw H.264) follows its predecessor at the stream's rate."""
        if frame.pts is not None:
            now = float(frame.time)
        else:
            now = 0.0 if self._previous is None else self._previous + self._step
        self._previous = now
        return now

    def wall_clock(self, seconds: float, default: float) -> float:
        """Unix seconds of a media time by the camera's clock; `default` as long as the camera told none."""
        return default if self._offset is None else seconds + self._offset
