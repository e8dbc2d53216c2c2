"""Identifiers that are derived, never drawn: a replay after a crash finds the same ids and overwrites.

HMAC-SHA-256 under the deployment's secret makes them unpredictable and tells nothing of the camera or the time.
"""

import hashlib
import hmac
import uuid

from pipeline.records import FrameId, Template


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


def template_owner(template: Template) -> str:
    """Whose an enrolled template is: a personId, or the uid of its face list."""
    return template.collection if template.person_id is None else template.person_id


def template_key(owner: str, persisted_face_id: str) -> str:
    """The key of an enrolled template on `templates`."""
    return f"{owner}/{persisted_face_id}"


def membership_key(uid: str, person_id: str) -> str:
    """The key of a membership on `memberships`: of the person `person_id` in the DynamicPersonGroup `uid`."""
    return f"{uid}/{person_id}"
