"""One line for a person, without a password, from what FFmpeg raises: its own errors hold the whole URL."""

from __future__ import annotations

from av.error import ExitError, FFmpegError, HTTPUnauthorizedError, InvalidDataError

from connectors.source import CameraLost, Source, SourceKind, VideoRefused


def explain(source: Source, error: Exception, timeout: float) -> CameraLost | VideoRefused:
    """The exception to raise instead of `error`, which came from opening or reading `source`."""
    if source.kind is SourceKind.FILE:
        return VideoRefused(f"video file '{source.label}' cannot be read: {_file_reason(error)}")
    if isinstance(error, ValueError) and not isinstance(error, FFmpegError):
        return VideoRefused(f"camera {source.label}: this system has no devices of the kind '{source.format}'")
    if isinstance(error, HTTPUnauthorizedError):
        return VideoRefused(f"camera {source.label} does not accept the user name and password of its URL")
    return CameraLost(f"camera {source.label}: {_camera_reason(error, timeout)}")


def _file_reason(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "permission denied"
    if isinstance(error, InvalidDataError):
        return "it is not a video, or it is cut off"
    return _bare(error)


def _camera_reason(error: Exception, timeout: float) -> str:
    if isinstance(error, (ExitError, TimeoutError)):
        return f"silent for {timeout:g} s"
    if isinstance(error, InvalidDataError):
        return "it sent nothing that can be read as video"
    return _bare(error)


def _bare(error: Exception) -> str:
    # strerror is FFmpeg's or the system's phrase; str(error) would add the URL.
    phrase = getattr(error, "strerror", None)
    return phrase.lower() if isinstance(phrase, str) and phrase else type(error).__name__
