"""A server that would send us elsewhere, wants a login, or is no RTSP server, is found out before FFmpeg calls it."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from connectors.source import CameraLost, VideoRefused
from connectors.video import VideoSource
from tests.stopwatch import Stopwatch

OK = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 3\r\n\r\nabc"


@contextmanager
def answering(*replies: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A server on loopback that gives each request of each connection the next reply; what it was asked is listed."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    for reply in replies:
                        asked.append(connection.recv(4096))
                        connection.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], asked
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize("before", [(), (OK,)])
def test_a_redirect_is_not_followed_and_sees_no_password(before: tuple[bytes, ...]) -> None:
    with answering() as (elsewhere, reached):
        redirect = f"RTSP/1.0 302 Moved\r\nCSeq: 1\r\nLocation: rtsp://127.0.0.1:{elsewhere}/x\r\n\r\n".encode()
        with answering(*before, redirect) as (port, asked):
            with pytest.raises(VideoRefused, match="redirects"):
                VideoSource(f"rtsp://admin:hunter2@127.0.0.1:{port}/a")
            assert asked
            assert not any(b"hunter2" in request or b"Authorization" in request for request in asked)
        with socket.create_connection(("127.0.0.1", elsewhere)):  # nobody stands in the queue before this one
            time.sleep(0.1)
        assert not reached


@pytest.mark.parametrize(
    ("replies", "error", "says"),
    [
        ((OK, b"RTSP/1.0 404 Not Found\r\n\r\n"), CameraLost, "404 Not Found"),
        ((b"RTSP/1.0 503 Whatever\r\n\r\n",), CameraLost, "503 Service Unavailable"),
        ((OK, b"RTSP/1.0 401 Unauthorized\r\n\r\n"), VideoRefused, "user name and a password"),
        ((b"HTTP/1.1 400 Bad Request\r\n\r\n",), VideoRefused, "not in RTSP"),
        ((b"SSH-2.0-OpenSSH\r\n",), VideoRefused, "not in RTSP"),
        ((b"RTSP/1.0 200 OK\r\n" + b"a: b\r\n" * 20_000,), VideoRefused, "more than"),
        ((b"",), CameraLost, "hung up"),
    ],
)
def test_replies(replies: tuple[bytes, ...], error: type[Exception], says: str) -> None:
    with answering(*replies) as (port, _), pytest.raises(error, match=says) as raised:
        VideoSource(f"rtsp://127.0.0.1:{port}/a", open_timeout=2.0)
    assert f"127.0.0.1:{port}" in str(raised.value)


def test_a_server_that_drips_is_given_no_more_time_than_a_silent_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = threading.Event()

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"RTSP/1.0 200 OK\r\n")
                while not done.wait(0.2):
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        with Stopwatch() as took, pytest.raises(CameraLost, match="no answer within 1 s"):
            VideoSource(f"rtsp://127.0.0.1:{listener.getsockname()[1]}/a", open_timeout=1.0)
        done.set()
        thread.join()
        assert took.seconds < 2.0
