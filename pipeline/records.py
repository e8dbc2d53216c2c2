"""What travels on the topics: frozen records without behaviour.

Times are timezone-aware UTC datetimes, lengths are pixels of the frame, similarities are the model's own
(`models/catalogue.toml`). Everything biometric, every image and every name is a `Sealed`.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

# A naive time would be read, and then compared with no other: it is refused at the door.
Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A value of a topic; unknown fields of a same-version writer are ignored, missing ones are refused."""


class Sealed(msgspec.Struct, frozen=True, array_like=True):
    """AES-256-GCM ciphertext under the data key `kid`, bound to the place where it stands (see `codec.associated`)."""

    kid: str
    nonce: bytes
    ciphertext: bytes


class Box(msgspec.Struct, frozen=True, array_like=True):
    """A face rectangle in pixels of its frame."""

    left: int
    top: int
    width: int
    height: int


class FrameId(msgspec.Struct, frozen=True, array_like=True, order=True):
    """One sampled frame: the camera, the capture session (a UUID per connection) and the number within the session."""

    camera: Annotated[str, msgspec.Meta(max_length=63)]
    session: Annotated[str, msgspec.Meta(max_length=36)]
    sequence: Annotated[int, msgspec.Meta(ge=0)]


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
    model: str
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


CollectionKind = Literal["largepersongroup", "persongroup"]


class Collection(Record, frozen=True):
    """A gallery of one recognition model; `id` is the caller's word for it, `uid` the one that is never used twice."""

    uid: str
    kind: CollectionKind
    id: str
    model: str
    name: Sealed
    created: Instant


class Person(Record, frozen=True):
    """An enrolled data subject; its `kid` seals its name and all its templates, and dies with it."""

    person_id: str
    collection: str
    kid: str
    name: Sealed
    created: Instant


class Template(Record, frozen=True):
    """Enrolled: a sealed little-endian float32 vector of its model's dimension. `kind` is its collection's."""

    persisted_face_id: str
    person_id: str
    collection: str
    kind: CollectionKind
    model: str
    vector: Sealed
    quality: float
    created: Instant


class Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What somebody asked for. `operation_id` is derived by the asker, so that a retry finds the first outcome."""

    operation_id: str
    principal: str
    requested_at: Instant
    scope: str


class AddCollection(Command, frozen=True, tag="add-collection"):
    """Create `collection`; refused where its kind and id are taken."""

    collection: Collection


class DeleteCollection(Command, frozen=True, tag="delete-collection"):
    """Forget the collection that `scope` names, with its persons and their templates."""


class AddPerson(Command, frozen=True, tag="add-person"):
    """Put `person` into its collection, with the templates that come along."""

    person: Person
    templates: tuple[Template, ...] = ()


class AddFace(Command, frozen=True, tag="add-face"):
    """Add `template` to its person."""

    template: Template


class DeletePerson(Command, frozen=True, tag="delete-person"):
    """Forget a person: destroy the key, then the person and every template."""

    person_id: str


class DeleteFace(Command, frozen=True, tag="delete-face"):
    """Forget one template of a person."""

    person_id: str
    persisted_face_id: str


AnyCommand = AddCollection | DeleteCollection | AddPerson | AddFace | DeletePerson | DeleteFace


class Operation(Record, frozen=True):
    """The outcome of a command, under its operation id."""

    operation_id: str
    outcome: Literal["succeeded", "failed"]
    finished: Instant
    code: str = ""
    message: str = ""
    resource: str | None = None
    forgotten: int = 0


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
