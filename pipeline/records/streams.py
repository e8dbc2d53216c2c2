"""What grows old and leaves: frames, faces, identifications, and the books that are kept of them."""

from typing import Literal

from pipeline.records.base import Box, FrameId, Instant, Record, Sealed
from pipeline.records.recognition import Recognition


class Watch(Record, frozen=True):
    """What a camera's owner wants of its faces: galleries to search, an own threshold, seconds a faceId lives."""

    collections: tuple[str, ...]
    threshold: float | None = None
    face_ttl: int = 600


class Frame(Record, frozen=True):
    """A sampled picture. `previous` is the sequence number published before it in the session, -1 for the first."""

    id: FrameId
    previous: int
    captured_at: Instant
    width: int
    height: int
    image: Sealed
    watch: Watch


class Shot(Record, frozen=True):
    """Where a camera saw a face: the frame, the track it belongs to, and the how-manieth best shot of it this is."""

    frame: FrameId
    track_id: str
    revision: int
    watch: Watch


class Face(Record, frozen=True):
    """A detected face. With a `shot` it passed a camera; without, it came through the API and is never identified."""

    face_id: str
    expires: Instant
    captured_at: Instant
    recognition: Recognition
    template: Sealed
    box: Box
    landmarks: tuple[tuple[float, float], ...]
    quality: float
    shot: Shot | None = None


class Identification(Record, frozen=True, rename="camel"):
    """Who passed: one per track, the newest revision. Names nobody by name; `personId` is what the API resolves."""

    track_id: str
    revision: int
    camera: str
    face_id: str
    face_expires: Instant
    captured_at: Instant
    identified_at: Instant
    expires: Instant
    decision: Literal["identified", "unknown"]
    model: str
    engine: str
    threshold: float
    person_id: str | None = None
    collection: str | None = None
    similarity: float | None = None


class Ledger(Record, frozen=True):
    """What one stage did with one session's frames: cumulative, as sorted inclusive ranges of sequence numbers.

    Capture says how many it `sampled`, which it `skipped` and whether the session is `closed`; detect says which
    it `processed`.
    """

    camera: str
    session: str
    stage: Literal["capture", "detect"]
    sampled: int = 0
    skipped: tuple[tuple[int, int], ...] = ()
    processed: tuple[tuple[int, int], ...] = ()
    closed: bool = False


class Gap(Record, frozen=True):
    """Frames `first`..`last` of a session were lost, and why."""

    camera: str
    session: str
    first: int
    last: int
    reason: str


class DeadLetter(Record, frozen=True):
    """Where a record stands that can never work, and why; never what it holds."""

    topic: str
    partition: int
    offset: int
    error: str
    attempts: int
    found_at: Instant
    frame: FrameId | None = None


class Watermark(Record, frozen=True):
    """How far the owner of a partition of `faces` has come with the tables.

    Nothing that it publishes from now on rests on less. `positions` are next offsets by "topic/partition", of topics as
    the map calls them. `by` says who owned the partition: identify, or the eraser that took it over.
    """

    positions: dict[str, int]
    by: Literal["identify", "erase"]
    at: Instant
