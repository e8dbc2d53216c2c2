"""Reads one camera, file or webcam with PyAV (FFmpeg), so that nobody above meets a hang, a redirect or a half frame.

What FFmpeg really does here was measured: a frozen camera hangs for ever without both timeouts, a killed one ends the
iteration without an error, and an unread TCP camera falls behind without bound (see `connectors.latest`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

import av
from av.codec.context import Flags, ThreadType
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from connectors.jpeg import encode_frame
from connectors.rtsp_greeting import greet
from connectors.sampling import MediaClock, Sampler
from connectors.source import CameraLost, Source, SourceKind, VideoEnded, VideoRefused, parse_source, redact
from connectors.video_fault import explain

__all__ = [
    "CameraLost",
    "Picture",
    "Source",
    "VideoEnded",
    "VideoRefused",
    "VideoSource",
    "parse_source",
    "redact",
]

MAX_PIXELS = 4096 * 4096
MAX_CLOCK_SKEW = 10.0  # seconds: a camera without a set clock says 1970, and records' times drive their deletion
_FILE_FORMATS = "asf,avi,flv,h264,hevc,ivf,matroska,mjpeg,mov,mpeg,mpegts,ogg"
_THREADS = 4


@dataclass(frozen=True, slots=True)
class Picture:
    """One sampled frame.

    `sequence` counts the sampled frames of this source from 0. `captured_at` is in unix seconds: the camera's wall
    clock once its first RTCP sender report came, else the time of arrival; in a file, the start of reading + its own
    time.
    `width` and `height` are those of the upright picture, in pixels.
    """

    sequence: int
    captured_at: float
    width: int
    height: int
    frame: av.VideoFrame

    def jpeg(self, quality: int = 85) -> bytes:
        """The picture as a JPEG, upright, full range, 4:2:0."""
        return encode_frame(self.frame, quality)


class VideoSource(AbstractContextManager["VideoSource"]):
    """One connection to one source, read by one thread; opened by its constructor, ended by its first fault.

    `realtime` gives out a file's pictures no sooner than their own time says. In seconds: opening lasts at most twice
    `open_timeout` (a greeting, then FFmpeg), a silence at most `read_timeout`. Raises VideoRefused and CameraLost;
    neither text holds a password.
    """

    def __init__(
        self,
        url: str,
        *,
        open_timeout: float = 5.0,
        read_timeout: float = 5.0,
        realtime: bool = False,
        max_pixels: int = MAX_PIXELS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.source = parse_source(url)
        self._read_timeout = read_timeout
        self._realtime = realtime and not self.source.live
        self._max_pixels = max_pixels
        self._clock = clock
        self._stopping = threading.Event()
        if self.source.kind is SourceKind.RTSP:
            greet(self.source, open_timeout)
        self._container = self._open((open_timeout, read_timeout))
        try:
            self._stream = self._prepare()
        except VideoRefused:
            self._container.close()
            raise

    def __exit__(self, *fault: object) -> None:
        self.close()

    def pictures(self, fps: float) -> Iterator[Picture]:
        """Decode everything, give out at most `fps` pictures per second of media time; may be called once.

        A file ends the iteration. A camera never does: it raises CameraLost. VideoRefused: not one picture could be
        decoded, or a picture is larger than `max_pixels`.
        """
        sampler, media, began = Sampler(fps), MediaClock(), self._clock()
        sequence, first, origin = 0, 0.0, time.monotonic()
        for frame in self._frames(media):
            now = media.seconds(frame)
            if sequence == 0:
                first, origin = now, time.monotonic()
            if not sampler.due(now):
                continue
            if self._realtime and self._stopping.wait(origin + now - first - time.monotonic()):
                return
            captured_at = self._captured_at(media, now) if self.source.live else began + now - first
            yield self._picture(sequence, captured_at, frame)
            sequence += 1
        if self._stopping.is_set():
            return
        if self.source.live:
            raise CameraLost(f"camera {self.source.label}: the stream ended")
        if sequence == 0:
            raise VideoRefused(f"video file '{self.source.label}' holds no picture that can be decoded")

    def stop(self) -> None:
        """Ask a running iteration, from any thread, to end: at the next packet, or when the read timeout is over."""
        self._stopping.set()

    def close(self) -> None:
        """Let go of the connection. Only for the thread that reads, or when none does any more."""
        self._stopping.set()
        self._container.close()

    def _open(self, timeouts: tuple[float, float]) -> InputContainer:
        source = self.source
        options = {"max_pixels": str(self._max_pixels)} | _options(source, self._read_timeout)
        try:
            return av.open(source.target, mode="r", format=source.format, options=options, timeout=timeouts)
        except (FFmpegError, OSError, ValueError) as error:
            fault = explain(source, error, max(timeouts))
        # Outside of the except block: FFmpeg's own error holds the URL with its password, and would be its context.
        raise fault

    def _prepare(self) -> VideoStream:
        if not self._container.streams.video:
            raise VideoRefused(f"'{self.source.label}' carries no video: give a camera or a file with pictures")
        stream = self._container.streams.video[0]
        context = stream.codec_context
        self._refuse_bomb(context.width, context.height)
        context.options = {"max_pixels": str(self._max_pixels)}
        if self.source.live:
            # Frame threading holds back one picture per thread: latency that a camera must not have.
            context.thread_type = ThreadType.SLICE
            context.flags |= Flags.low_delay
        else:
            context.thread_type = ThreadType.AUTO
        context.thread_count = _THREADS
        return stream

    def _frames(self, media: MediaClock) -> Iterator[av.VideoFrame]:
        """Decoded frames. Damaged packets are passed over, as long as a picture comes now and then."""
        last_frame = time.monotonic()
        for packet in self._packets():
            media.note(packet)
            try:
                frames = packet.decode()
            except FFmpegError:
                frames = []
            if frames:
                last_frame = time.monotonic()
            elif self.source.live and time.monotonic() - last_frame > self._read_timeout:
                raise CameraLost(f"camera {self.source.label}: no picture to decode for {self._read_timeout:g} s")
            yield from frames

    def _packets(self) -> Iterator[Packet[VideoStream]]:
        packets = self._container.demux(self._stream)
        while not self._stopping.is_set():
            try:
                packet = next(packets, None)
            except (FFmpegError, OSError) as error:
                fault = explain(self.source, error, self._read_timeout)
            else:
                if packet is None:
                    return
                yield packet
                continue
            raise fault

    def _captured_at(self, media: MediaClock, seconds: float) -> float:
        arrived = self._clock()
        told = media.wall_clock(seconds, default=arrived)
        return told if abs(told - arrived) <= MAX_CLOCK_SKEW else arrived

    def _picture(self, sequence: int, captured_at: float, frame: av.VideoFrame) -> Picture:
        self._refuse_bomb(frame.width, frame.height)
        width, height = frame.width, frame.height
        if frame.rotation % 180:
            width, height = height, width
        return Picture(sequence, captured_at, width, height, frame)

    def _refuse_bomb(self, width: int, height: int) -> None:
        if width * height > self._max_pixels:
            raise VideoRefused(
                f"'{self.source.label}' has pictures of {width}x{height}: at most {self._max_pixels} pixels are read"
            )


def _options(source: Source, read_timeout: float) -> dict[str, str]:
    match source.kind:
        case SourceKind.FILE:
            return {"protocol_whitelist": "file", "format_whitelist": _FILE_FORMATS}
        case SourceKind.DEVICE:
            return {}
        case SourceKind.RTSP:
            return {
                "rtsp_transport": "tcp",
                "allowed_media_types": "video",
                "protocol_whitelist": "rtsp,rtsps,rtp,tcp,tls,crypto",
                # Microseconds. Half: to the first timeout FFmpeg answers with the frame its parser held back, and only
                # the second one in a row is told as an error.
                "timeout": str(int(read_timeout / 2 * 1_000_000)),
                # The session description names codec and size; to measure the frame rate too would take 2 s, and each
                # frame read for it would be that old when it is given out.
                "probesize": "32",
            }
