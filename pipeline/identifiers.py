"""Identifiers that are derived, never drawn: a replay after a crash finds the same ids and overwrites.

HMAC-SHA-256 under the deployment's secret makes them unpredictable and tells nothing of the camera or the time.
"""

import hashlib
import hmac
import uuid

from pipeline.records import FrameId


def _derived(secret: bytes, *parts: str) -> str:
    digest = hmac.new(secret, "|".join(parts).encode(), hashlib.sha256).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


def face_id(secret: bytes, frame: FrameId, index: int) -> str:
    """The faceId (a UUID) of the face at `index` of a frame."""
    return _derived(secret, "face", frame.camera, frame.session, str(frame.sequence), str(index))


def track_id(secret: bytes, frame: FrameId, index: int) -> str:
    """The trackId (a UUID) of the track that began with the face at `index` of `frame`."""
    return _derived(secret, "track", frame.camera, frame.session, str(frame.sequence), str(index))


def operation_id(principal: str, request_id: str) -> str:
    """The operation's id (a UUID) of one request of one principal: a repeated request finds the first outcome."""
    # Both are free text: without the length, one principal could hit upon the requests of another.
    digest = hashlib.sha256(f"{len(principal)}|{principal}|{request_id}".encode()).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


def frame_place(frame: FrameId) -> str:
    """The record identity that a frame's image is sealed to; `camera` alone is the record's key on Kafka."""
    return f"{frame.camera}/{frame.session}/{frame.sequence}"
