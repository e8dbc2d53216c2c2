"""A slow consumer gets the freshest picture, and knows how many it missed."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from connectors.latest import Latest
from connectors.rtsp_server import RtspServer
from connectors.video import CameraLost, VideoEnded, VideoRefused, VideoSource
from tests.stopwatch import Stopwatch

StartServer = Callable[[Path], Awaitable[RtspServer]]


@pytest.mark.rtsp
async def test_a_slow_consumer_never_falls_behind(rtsp_server: StartServer, clips: Path) -> None:
    server = await rtsp_server(clips)

    def look() -> None:
        with Latest(VideoSource(server.url("h264.mp4")), fps=15.0) as latest:
            taken, ages = [latest.take(10.0)], []
            for _ in range(5):
                time.sleep(0.5)
                taken.append(latest.take(10.0))
                ages.append(time.time() - taken[-1].captured_at)
            # A single one may wait for its turn on this machine; who falls behind is later each time.
            assert sorted(ages)[2] < 0.4
            missed = taken[-1].sequence + 1 - len(taken)
            assert missed >= 20
            assert missed <= latest.dropped <= missed + 1  # one more may have come since

    await asyncio.to_thread(look)


@pytest.mark.rtsp
async def test_what_ends_the_camera_reaches_the_consumer_after_the_last_picture(
    rtsp_server: StartServer, clips: Path
) -> None:
    server = await rtsp_server(clips)

    def look() -> None:
        with Latest(VideoSource(server.url("h264.mp4", loop=False)), fps=5.0) as latest:
            latest._thread.join(30)
            assert latest.take(0.1).sequence == 9
            for _ in range(2):
                with pytest.raises(CameraLost, match="the stream ended"):
                    latest.take(0.1)

    await asyncio.to_thread(look)


def test_a_file_ends_with_video_ended(clips: Path) -> None:
    with Latest(VideoSource(str(clips / "h264.mp4")), fps=5.0) as latest:
        latest._thread.join(30)  # reads the whole file
        latest.take(2.0)
        with pytest.raises(VideoEnded):
            latest.take(2.0)


def test_no_picture_in_time_is_a_timeout_and_closing_does_not_wait_for_the_next(clips: Path) -> None:
    with ExitStack() as stack, Latest(VideoSource(str(clips / "h264.mp4"), realtime=True), fps=0.6) as latest:
        latest.take(2.0)
        with pytest.raises(TimeoutError):
            latest.take(0.05)
        took = stack.enter_context(Stopwatch())
    assert took.seconds < 0.5


def test_a_refusal_reaches_the_consumer(clips: Path) -> None:
    source = VideoSource(str(clips / "h264.mp4"))
    source._max_pixels = 1
    with Latest(source, fps=5.0) as latest, pytest.raises(VideoRefused):
        latest.take(2.0)
