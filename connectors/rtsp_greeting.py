"""Asks an RTSP server, before FFmpeg does, whether it would send us elsewhere.

FFmpeg follows an RTSP redirect to any host and takes the first URL's password along, and no option turns that off. One
greeting of our own, without credentials, finds it out. A server that redirects only later (after a login, at SETUP)
is not caught here: a network namespace or a firewall that lets capture reach its cameras only is the full answer.
"""

from __future__ import annotations

import re
import socket
import ssl
import time
from http import HTTPStatus

from connectors.source import RTSP_PORT, RTSPS_PORT, CameraLost, Source, VideoRefused

MAX_REPLY = 65_536  # bytes; a status line, headers and a session description are a few hundred
_STATUS = re.compile(rb"RTSP/\d\.\d (\d{3})")
_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_STATUS_LENGTH = len(b"RTSP/1.0 200")
_LENGTH = re.compile(rb"^content-length\s*:\s*(\d{1,6})\s*$", re.IGNORECASE | re.MULTILINE)


def greet(source: Source, timeout: float) -> None:
    """OPTIONS and DESCRIBE once, within `timeout` seconds.

    Raises VideoRefused (redirect, login wanted but none given, not RTSP) or CameraLost (refused, silent, 404, 5xx).
    """
    deadline = time.monotonic() + timeout
    reason: str
    try:
        with _connect(source, timeout) as connection:
            for number, method in enumerate(("OPTIONS", "DESCRIBE"), start=1):
                connection.sendall(_request(source, method, number))
                _judge(source, _status(source, _reply(source, connection, deadline)))
            return
    except TimeoutError:
        reason = f"no answer within {timeout:g} s"
    except ConnectionRefusedError:
        reason = "connection refused"
    except socket.gaierror:
        reason = "its name is not known to the resolver"
    except OSError as error:
        reason = error.strerror or type(error).__name__
    raise CameraLost(f"camera {source.label}: {reason}")


def _connect(source: Source, timeout: float) -> socket.socket:
    address = source.address
    secure = address.scheme.lower() == "rtsps"
    host = address.hostname or ""
    plain = socket.create_connection((host, address.port or (RTSPS_PORT if secure else RTSP_PORT)), timeout)
    if not secure:
        return plain
    # Cameras carry self-signed certificates and the greeting carries no secret: it only reads two status codes.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain, server_hostname=host)


def _request(source: Source, method: str, number: int) -> bytes:
    address = source.address
    bare = address._replace(netloc=address.netloc.rpartition("@")[2], fragment="").geturl()
    return f"{method} {bare} RTSP/1.0\r\nCSeq: {number}\r\nAccept: application/sdp\r\n\r\n".encode()


def _reply(source: Source, connection: socket.socket, deadline: float) -> bytes:
    """One whole reply. The deadline holds for all of it: a server may also send a byte a second."""
    received = b""
    while not _complete(received):
        if len(received) > MAX_REPLY:
            raise VideoRefused(f"camera {source.label} answers its greeting with more than {MAX_REPLY} bytes")
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        chunk = connection.recv(4096)
        if not chunk:
            raise CameraLost(f"camera {source.label}: hung up")
        received += chunk
        _status(source, received)
    return received


def _complete(received: bytes) -> bool:
    headers, end, body = received.partition(b"\r\n\r\n")
    length = _LENGTH.search(headers)
    return bool(end) and len(body) >= (int(length[1]) if length else 0)


def _status(source: Source, received: bytes) -> int:
    found = _STATUS.match(received)
    if found is not None:
        return int(found[1])
    if len(received) >= _STATUS_LENGTH or not b"RTSP/".startswith(received[:5]):
        raise VideoRefused(f"camera {source.label} answers, but not in RTSP: check the port of the URL")
    return 0  # the first line has not arrived as a whole


def _judge(source: Source, status: int) -> None:
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return
    if status < HTTPStatus.BAD_REQUEST:
        raise VideoRefused(f"camera {source.label} redirects to another address: write that address in the settings")
    if status == HTTPStatus.UNAUTHORIZED:
        if source.address.username is None:
            raise VideoRefused(f"camera {source.label} wants a user name and a password: add them to its URL")
        return  # FFmpeg logs in; the greeting shows no password to a server it does not know yet
    raise CameraLost(f"camera {source.label}: {status} {_PHRASES.get(status, 'refused')}")
