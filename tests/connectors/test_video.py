"""A camera and a file as they really are: playing, refused, silent, frozen, killed, cut off, no video at all."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from connectors.rtsp_server import RtspServer
from connectors.video import CameraLost, Picture, VideoRefused, VideoSource
from tests.stopwatch import Stopwatch

StartServer = Callable[[Path], Awaitable[RtspServer]]


def watch(url: str, count: int, fps: float = 5.0) -> list[Picture]:
    with VideoSource(url, open_timeout=3.0, read_timeout=2.0) as source:
        return list(islice(source.pictures(fps), count))


@pytest.mark.rtsp
@pytest.mark.parametrize("clip", ["h264.mp4", "h265.mp4"])
async def test_a_camera_plays_and_tells_its_wall_clock(rtsp_server: StartServer, clips: Path, clip: str) -> None:
    server = await rtsp_server(clips)
    ages: list[float] = []

    def look() -> None:
        with VideoSource(server.url(clip)) as source:
            for picture in islice(source.pictures(5.0), 13):  # longer than the clip: it loops
                ages.append(time.time() - picture.captured_at)
                assert (picture.sequence, picture.width, picture.height) == (len(ages) - 1, 320, 180)
                assert cv2.imdecode(np.frombuffer(picture.jpeg(), np.uint8), cv2.IMREAD_COLOR) is not None

    await asyncio.to_thread(look)
    # FFmpeg knows that a frame is whole when the next one begins: at 15 fps that is 67 ms.
    assert min(ages) >= 0.0
    # A single one may wait for its turn on this machine; none stays behind for that.
    assert sorted(ages)[len(ages) // 2] < 0.5
    assert ages[-1] < 1.5
    assert min(ages[2:]) > 0.05


@pytest.mark.rtsp
async def test_the_first_picture_comes_at_once(rtsp_server: StartServer, clips: Path) -> None:
    server = await rtsp_server(clips)
    with Stopwatch() as took:
        await asyncio.to_thread(watch, server.url("h264.mp4"), 1)
    assert took.seconds < 1.0


@pytest.mark.rtsp
async def test_a_clip_that_is_not_there_is_a_404(rtsp_server: StartServer, clips: Path) -> None:
    server = await rtsp_server(clips)
    with pytest.raises(CameraLost, match=rf"^camera 127\.0\.0\.1:{server.port}: 404 Not Found$"):
        await asyncio.to_thread(watch, server.url("nothing.mp4"), 1)


@pytest.mark.rtsp
async def test_a_stream_that_ends_is_a_lost_camera(rtsp_server: StartServer, clips: Path) -> None:
    server = await rtsp_server(clips)
    with pytest.raises(CameraLost, match="the stream ended"):
        await asyncio.to_thread(watch, server.url("h264.mp4", loop=False), 100)


@pytest.mark.rtsp
@pytest.mark.parametrize(("by", "within"), [(signal.SIGKILL, 1.0), (signal.SIGSTOP, 4.0)])
async def test_a_camera_killed_or_frozen_in_the_middle_is_lost_in_time(
    rtsp_server: StartServer, clips: Path, by: signal.Signals, within: float
) -> None:
    server = await rtsp_server(clips)
    assert server.pid is not None
    group = server.pid
    took = Stopwatch()

    def look() -> None:
        with VideoSource(server.url("h264.mp4"), open_timeout=3.0, read_timeout=2.0) as source:
            for picture in source.pictures(5.0):
                if picture.sequence == 2:
                    os.killpg(group, by)
                    stack.enter_context(took)

    try:
        with ExitStack() as stack, pytest.raises(CameraLost, match=r"ended|silent for 2 s"):
            await asyncio.to_thread(look)
        assert took.seconds < within
    finally:
        if by is signal.SIGSTOP:
            os.killpg(group, signal.SIGCONT)


def test_a_refused_port_is_a_lost_camera_and_its_password_stays_secret() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(CameraLost, match=rf"^camera 127\.0\.0\.1:{port}: connection refused$") as lost:
        VideoSource(f"rtsp://admin:hunter2@127.0.0.1:{port}/a")
    assert_secret(lost.value)


def test_a_silent_server_is_a_lost_camera_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with Stopwatch() as took, pytest.raises(CameraLost, match="no answer within 1 s") as lost:
            VideoSource(f"rtsp://admin:hunter2@127.0.0.1:{silent.getsockname()[1]}/a", open_timeout=1.0)
        assert took.seconds < 2.0
    assert_secret(lost.value)


@pytest.mark.rtsp
async def test_a_fault_that_ffmpeg_finds_keeps_the_password_secret(
    rtsp_server: StartServer, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await rtsp_server(clips)
    monkeypatch.setattr("connectors.video.greet", lambda source, timeout: None)
    url = server.url("nothing.mp4").replace("rtsp://", "rtsp://admin:hunter2@")
    with pytest.raises(CameraLost) as lost:
        await asyncio.to_thread(VideoSource, url)
    assert_secret(lost.value)


def assert_secret(error: BaseException | None) -> None:
    while error is not None:
        assert "hunter2" not in f"{error!s}{error!r}{error.args}"
        error = error.__cause__ or error.__context__


def test_a_file_is_read_to_its_end_with_its_own_times(clips: Path) -> None:
    with VideoSource(str(clips / "h264.mp4"), clock=lambda: 1000.0) as source:
        pictures = list(source.pictures(5.0))
    assert [picture.sequence for picture in pictures] == list(range(10))
    assert [picture.captured_at for picture in pictures] == pytest.approx([1000 + i / 5 for i in range(10)], abs=0.02)


def test_a_file_in_real_time_takes_its_time_and_stops_when_told(clips: Path) -> None:
    began = time.monotonic()
    with VideoSource(str(clips / "h264.mp4"), realtime=True) as source:
        for picture in source.pictures(5.0):
            assert time.monotonic() - began >= picture.sequence / 5 - 0.05
            if picture.sequence == 5:
                source.stop()
    assert picture.sequence == 5


@pytest.mark.parametrize("name", ["garbage.mp4", "empty.mp4", "cut.mp4", "sound.wav", "list.m3u8"])
def test_what_is_not_a_video_is_refused(clips: Path, tmp_path: Path, name: str) -> None:
    whole = (clips / "h264.mp4").read_bytes()
    content = {
        "garbage.mp4": bytes(range(256)) * 100,
        "empty.mp4": b"",
        "cut.mp4": whole[: len(whole) // 2],
        "sound.wav": b"RIFF" + b"\0" * 100,
        "list.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{clips / 'h264.ts'}\n#EXT-X-ENDLIST\n".encode(),
    }[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(VideoRefused, match=name):
        watch(str(tmp_path / name), 1)


def test_a_truncated_stream_gives_what_is_there(clips: Path, tmp_path: Path) -> None:
    whole = (clips / "h264.ts").read_bytes()
    (tmp_path / "cut.ts").write_bytes(whole[: len(whole) // 2])
    assert 2 <= len(watch(str(tmp_path / "cut.ts"), 100, fps=15.0)) < 30


def test_damage_in_the_middle_does_not_end_the_reading(clips: Path, tmp_path: Path) -> None:
    damaged = bytearray((clips / "h264.ts").read_bytes())
    middle = len(damaged) // 3
    damaged[middle : middle + 4000] = np.random.default_rng(1).bytes(4000)
    (tmp_path / "damaged.ts").write_bytes(damaged)
    pictures = watch(str(tmp_path / "damaged.ts"), 100, fps=15.0)
    assert len(pictures) >= 15
    assert pictures[-1].captured_at - pictures[0].captured_at > 1.5


def test_pictures_too_large_are_refused(clips: Path) -> None:
    with (
        pytest.raises(VideoRefused, match=r"h264\.mp4"),
        VideoSource(str(clips / "h264.mp4"), max_pixels=10_000) as source,
    ):
        list(source.pictures(5.0))


def test_a_clip_filmed_on_its_side_comes_out_upright(clips: Path, tmp_path: Path) -> None:
    with av.open(str(clips / "h264.mp4")) as plain, av.open(str(tmp_path / "turned.mp4"), "w") as turned:
        stream = turned.add_stream_from_template(plain.streams.video[0])
        for packet in plain.demux(video=0):
            if packet.size:
                packet.stream = stream
                turned.mux(packet)
    content = (tmp_path / "turned.mp4").read_bytes()
    # The 3x3 matrix of the track header (ISO/IEC 14496-12, 8.3.2): unity becomes a quarter turn.
    one, zero, minus = (1 << 16).to_bytes(4, "big"), bytes(4), ((1 << 32) - (1 << 16)).to_bytes(4, "big")
    unity, quarter = one + zero * 3 + one, zero + one + zero + minus + zero
    at = content.index(unity, content.index(b"tkhd"))
    (tmp_path / "turned.mp4").write_bytes(content[:at] + quarter + content[at + len(quarter) :])
    straight, sideways = watch(str(clips / "h264.mp4"), 1)[0], watch(str(tmp_path / "turned.mp4"), 1)[0]
    assert (sideways.width, sideways.height) == (180, 320)
    shown = [cv2.imdecode(np.frombuffer(p.jpeg(95), np.uint8), cv2.IMREAD_COLOR) for p in (straight, sideways)]
    assert shown[0] is not None
    assert shown[1] is not None
    clockwise = cv2.rotate(shown[0], cv2.ROTATE_90_CLOCKWISE)
    assert float(np.abs(clockwise.astype(int) - shown[1]).mean()) < 5


@pytest.mark.skipif(sys.platform != "linux", reason="the device names are those of Linux")
def test_a_webcam_that_is_not_there_is_lost_and_one_of_another_system_refused() -> None:
    with pytest.raises(CameraLost, match="no such file"):
        VideoSource("v4l2:63")
    with pytest.raises(VideoRefused, match="no devices of the kind 'avfoundation'"):
        VideoSource("avfoundation:0")
