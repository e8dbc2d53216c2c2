"""The last word per key: who is enrolled where, and what came of every command."""

from typing import Final, Literal

from pipeline.records.audit import ErasedKind, Passed, Span, Verified
from pipeline.records.base import Instant, Record, Sealed
from pipeline.records.recognition import Recognition

CollectionKind = Literal["facelist", "largefacelist", "persongroup", "largepersongroup", "dynamicpersongroup"]
# The Face API's words for a kind, as its codes have them: LargePersonGroupNotFound.
KIND_WORDS: Final[dict[CollectionKind, str]] = {
    "facelist": "FaceList",
    "largefacelist": "LargeFaceList",
    "persongroup": "PersonGroup",
    "largepersongroup": "LargePersonGroup",
    "dynamicpersongroup": "DynamicPersonGroup",
}
# The PersonDirectory: the one gallery that nobody creates and nobody deletes, so its uid and its scope are this word.
Directory = Literal["directory"]
DIRECTORY: Final[Directory] = "directory"
GalleryKind = CollectionKind | Directory


class Training(Record, frozen=True):
    """What was asked to be searchable: every template up to offset `target` of the collection's partition.

    `finished` is when that was so; `succeeded_before` when the training before this one was.
    """

    target: int
    requested: Instant
    finished: Instant | None = None
    succeeded_before: Instant | None = None


class Collection(Record, frozen=True):
    """A gallery; `id` is the caller's word for it, `uid` the one that is never used twice.

    Its templates are all of one `recognition`; a DynamicPersonGroup has none, it borrows from the PersonDirectory.
    """

    uid: str
    kind: CollectionKind
    id: str
    name: Sealed
    created: Instant
    recognition: Recognition | None = None
    user_data: Sealed | None = None
    training: Training | None = None


class Person(Record, frozen=True):
    """An enrolled data subject; its `kid` seals its name and all its templates, and dies with it.

    `collection` is a uid, or the PersonDirectory. `consent` is the operator's reference to what the person agreed to.
    """

    person_id: str
    collection: str
    kid: str
    name: Sealed
    created: Instant
    user_data: Sealed | None = None
    consent: Sealed | None = None


class Template(Record, frozen=True):
    """Enrolled: a sealed little-endian float32 vector of its model's dimension.

    `collection` and `kind` are its gallery's. In a face list it belongs to no person, and its key is its own.
    """

    persisted_face_id: str
    collection: str
    kind: GalleryKind
    recognition: Recognition
    vector: Sealed
    quality: float
    created: Instant
    person_id: str | None = None
    user_data: Sealed | None = None


class Membership(Record, frozen=True):
    """A person of the PersonDirectory belongs to a DynamicPersonGroup, since `added`."""

    collection: str
    person_id: str
    added: Instant


class Erasure(Record, frozen=True):
    """What a deletion has to make true everywhere before it may be called done; then, how it was seen to be true.

    `counts` are the tombstones that control wrote with it, by topic. `keys` are fingerprints of the data keys that were
    destroyed (`receipts.destroyed_keys`).
    """

    kind: ErasedKind
    subject: str
    principal: str
    counts: dict[str, int]
    keys: tuple[str, ...] = ()
    tombstones: tuple[Span, ...] = ()
    passed: tuple[Passed, ...] = ()


class Operation(Record, frozen=True):
    """The outcome of a command, under its operation id.

    "erasing" is none yet: the tables have forgotten, and somebody may still be about to name the person. The erase
    stage puts the outcome in its place once nobody can. It also puts on the audit chain what was `found`.
    """

    operation_id: str
    outcome: Literal["erasing", "succeeded", "failed"]
    requested: Instant
    finished: Instant
    code: str = ""
    message: str = ""
    resource: str | None = None
    forgotten: int = 0
    erasure: Erasure | None = None
    found: tuple[Verified, ...] = ()
