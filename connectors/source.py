"""What a camera setting may name, read by a strict grammar: FFmpeg itself would open far more than a camera.

FFmpeg's own protocols reach files and hosts nobody meant (`concat:`, `subfile:`, `http:` to a metadata service), so
only RTSP, plain files and capture devices pass, and a target leaves here in a form FFmpeg cannot read as anything else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from connectors import ServiceRefused, ServiceUnavailable

RTSP_PORT = 554  # RFC 7826, 19.1
RTSPS_PORT = 322
ADVICE = "write an rtsp:// or rtsps:// URL, the path of a video file, or a device such as /dev/video0"

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(.*)", re.DOTALL)  # two letters at least: C:\ is a drive
_V4L2 = re.compile(r"/dev/video\d+")
_DEVICE_FORMATS = frozenset({"avfoundation", "dshow", "v4l2"})


class VideoRefused(ServiceRefused):
    """A person's mistake: it will not get better by trying again."""


class CameraLost(ServiceUnavailable):
    """The camera does not answer, fell silent or ended: connect again, later. One line with the host and the reason."""


class VideoEnded(Exception):
    """A file reached its end."""


class SourceKind(Enum):
    """Where pictures come from."""

    RTSP = "rtsp"
    FILE = "file"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Source:
    """A parsed camera setting.

    `target` is what FFmpeg opens and may hold a password, so it never shows in a repr. `label` is fit for logs.
    """

    kind: SourceKind
    label: str
    target: str = field(repr=False)
    format: str | None = None

    @property
    def live(self) -> bool:
        """Whether pictures come at their own pace and end only by a fault."""
        return self.kind is not SourceKind.FILE

    @property
    def address(self) -> SplitResult:
        """The parts of an RTSP URL."""
        return urlsplit(self.target)


def parse_source(text: str) -> Source:
    """Read `rtsp(s)://host/path`, a file's path, `/dev/videoN` or `v4l2:N`, `avfoundation:X`, `dshow:X`.

    Raises VideoRefused for anything else, a file that is not there, and control characters.
    """
    text = text.strip()
    if not text or not text.isprintable():
        raise VideoRefused(f"a camera's source is empty or holds control characters: {ADVICE}")
    if _V4L2.fullmatch(text):
        return Source(SourceKind.DEVICE, text, text, "v4l2")
    found = _SCHEME.fullmatch(text)
    if found is None:
        return _file(text)
    scheme, rest = found[1].lower(), found[2]
    if scheme in ("rtsp", "rtsps"):
        return _rtsp(text)
    if scheme in _DEVICE_FORMATS and rest:
        target = f"/dev/video{rest}" if scheme == "v4l2" and rest.isdecimal() else rest
        return Source(SourceKind.DEVICE, f"{scheme}:{rest}", target, scheme)
    raise VideoRefused(f"a camera cannot be read by '{scheme}:': {ADVICE}")


def redact(url: str) -> str:
    """The same place without anything secret, for logs: no user, no password, no query, no `name=value` in the path."""
    try:
        parts = urlsplit(url)
        host = _host_and_port(parts)
    except ValueError:
        return "(unreadable address)"
    if not parts.scheme or not parts.netloc:
        return url if "@" not in url else "(unreadable address)"
    # Some recorders take the password as a part of the path: rtsp://host/user=admin&password=...
    path = "/(hidden)" if "=" in parts.path or "@" in parts.path else parts.path
    return f"{parts.scheme}://{host}{path}"


def _host_and_port(parts: SplitResult) -> str:
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return host if parts.port is None else f"{host}:{parts.port}"


def _rtsp(text: str) -> Source:
    try:
        parts = urlsplit(text)
        host = _host_and_port(parts)
    except ValueError:
        raise VideoRefused("a camera's URL has no readable host and port: write rtsp://host:554/path") from None
    if not parts.hostname:
        raise VideoRefused("a camera's URL names no host: write rtsp://host:554/path")
    if any(sign in text for sign in " |\\"):
        raise VideoRefused(f"the URL of camera {host} holds a space, '|' or '\\': write them percent-encoded")
    return Source(SourceKind.RTSP, host, text)


def _file(text: str) -> Source:
    path = Path(text).expanduser()
    if not path.exists():
        raise VideoRefused(f"video file '{text}' is not there: check the path")
    if not path.is_file():
        raise VideoRefused(f"'{text}' is not a file: {ADVICE}")
    # Without the prefix FFmpeg reads a name such as concat:x as a protocol.
    return Source(SourceKind.FILE, text, f"file:{path.absolute()}")
