"""Only RTSP, files and capture devices get through, and no password comes out."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.source import SourceKind, VideoRefused, parse_source, redact

FORBIDDEN = [
    "http://127.0.0.1/clip.mp4",
    "https://user:hunter2@host/clip.mp4",
    "concat:/etc/passwd|/etc/hosts",
    "subfile:,,start,0,end,0,,:/etc/passwd",
    "udp://239.0.0.1:1234",
    "rtp://host:5004",
    "data:video/mp4;base64,AAAA",
    "pipe:0",
    "file:///etc/passwd",
    "crypto+rtsp://host/a",
    "ftp://host/a",
    "tcp://10.0.0.1:6379",
    "unix:/run/socket",
    "lavfi:testsrc",
    "x11grab::0",
    "",
    "   ",
    "rtsp://",
    "rtsp://:554/path",
    "rtsp://host:99999/path",
    "rtsp://[::1/path",
    "rtsp://host/a|b",
    "rtsp://host/a b",
    "rtsp://host/a\r\nDESCRIBE rtsp://other/",
    "rtsp://host\\@other/",
    "/dev/null",
    "/dev",
]


@pytest.mark.parametrize("text", FORBIDDEN)
def test_everything_else_is_refused_in_one_line_without_the_password(text: str) -> None:
    with pytest.raises(VideoRefused) as refusal:
        parse_source(text)
    assert "\n" not in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


def test_an_rtsp_url_is_kept_whole_but_shown_without_credentials() -> None:
    source = parse_source("RTSP://admin:hunter2@camera.local:8554/stream?channel=1")
    assert source.kind is SourceKind.RTSP
    assert source.live
    assert source.target == "RTSP://admin:hunter2@camera.local:8554/stream?channel=1"
    assert source.label == "camera.local:8554"
    assert "hunter2" not in repr(source)


def test_a_file_is_opened_as_a_file_whatever_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "concat:a.mp4").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    source = parse_source("./concat:a.mp4")
    assert source.kind is SourceKind.FILE
    assert not source.live
    assert source.target == f"file:{tmp_path / 'concat:a.mp4'}"


@pytest.mark.parametrize(
    ("text", "target", "format"),
    [
        ("/dev/video0", "/dev/video0", "v4l2"),
        ("v4l2:2", "/dev/video2", "v4l2"),
        ("avfoundation:0", "0", "avfoundation"),
        ("dshow:video=Webcam", "video=Webcam", "dshow"),
    ],
)
def test_devices(text: str, target: str, format: str) -> None:
    source = parse_source(text)
    assert (source.kind, source.target, source.format) == (SourceKind.DEVICE, target, format)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://admin:hunter2@host:554/a/b", "rtsp://host:554/a/b"),
        ("rtsp://host/a?user=admin&password=hunter2", "rtsp://host/a"),
        ("rtsp://host/user=admin&password=hunter2", "rtsp://host/(hidden)"),
        ("rtsps://a:hunter2@[2001:db8::1]:322/x", "rtsps://[2001:db8::1]:322/x"),
        ("rtsp://a:hunter2@host:port/x", "(unreadable address)"),
        ("videos/clip.mp4", "videos/clip.mp4"),
    ],
)
def test_redact(url: str, shown: str) -> None:
    assert redact(url) == shown


@given(user=st.text(st.characters(codec="ascii"), max_size=8), path=st.text(max_size=20))
def test_redact_never_shows_a_password(user: str, path: str) -> None:
    assert "S3CRET!" not in redact(f"rtsp://{user}:S3CRET!@host/{path}")


@given(st.text())
def test_parsing_ends_in_a_source_or_a_refusal(text: str) -> None:
    try:
        parse_source(text)
    except VideoRefused as refusal:
        assert "\n" not in str(refusal)  # noqa: PT017
