"""What somebody asked for.

`scope` is the collection that it concerns, "kind/id", or "directory". Where a command seals words for a record, it
says the record's uid: a collection that was made again under its old id is another one.
"""

import msgspec

from pipeline.records.audit import Verified
from pipeline.records.base import Instant, Sealed
from pipeline.records.tables import Collection, Person, Template


class Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What all have. `operation_id` is derived by the asker, so that a retry finds the first outcome."""

    operation_id: str
    principal: str
    requested_at: Instant
    scope: str


class AddCollection(Command, frozen=True, tag="add-collection"):
    """Create `collection`; refused where its kind and id are taken. `members` are for a DynamicPersonGroup."""

    collection: Collection
    members: tuple[str, ...] = ()


class UpdateCollection(Command, frozen=True, tag="update-collection"):
    """Give a collection a new name or userData; what is None stays."""

    uid: str
    name: Sealed | None = None
    user_data: Sealed | None = None


class DeleteCollection(Command, frozen=True, tag="delete-collection"):
    """Forget the collection that `scope` names, with its persons and their templates."""


class TrainCollection(Command, frozen=True, tag="train-collection"):
    """Ask for everything up to offset `target` of its templates' partition to be searchable."""

    target: int


class FinishTraining(Command, frozen=True, tag="finish-training"):
    """Note that the training with this target is done: somebody has seen the index behind it."""

    uid: str
    target: int


class AddPerson(Command, frozen=True, tag="add-person"):
    """Put `person` into its collection, with the templates that come along."""

    person: Person
    templates: tuple[Template, ...] = ()


class UpdatePerson(Command, frozen=True, tag="update-person"):
    """Give a person a new name or userData; what is None stays."""

    person_id: str
    name: Sealed | None = None
    user_data: Sealed | None = None


class DeletePerson(Command, frozen=True, tag="delete-person"):
    """Forget a person: destroy the key, then the person and every template."""

    person_id: str


class AddFace(Command, frozen=True, tag="add-face"):
    """Add `template` to its person, or to its face list."""

    template: Template


class UpdateFace(Command, frozen=True, tag="update-face"):
    """Give a template new userData. `person_id` is None in a face list."""

    persisted_face_id: str
    user_data: Sealed
    person_id: str | None = None


class DeleteFace(Command, frozen=True, tag="delete-face"):
    """Forget one template, of a person or of a face list."""

    persisted_face_id: str
    person_id: str | None = None


class ChangeMembers(Command, frozen=True, tag="change-members"):
    """Let persons of the PersonDirectory join or leave a DynamicPersonGroup; name and userData as in an update."""

    uid: str
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    name: Sealed | None = None
    user_data: Sealed | None = None


class NoteFindings(Command, frozen=True, tag="note-findings"):
    """Put on the audit chain what a search of the stores found about earlier erasures. `scope` is "audit"."""

    found: tuple[Verified, ...]


Deletion = DeletePerson | DeleteFace | DeleteCollection
AnyCommand = (
    AddCollection
    | UpdateCollection
    | DeleteCollection
    | TrainCollection
    | FinishTraining
    | AddPerson
    | UpdatePerson
    | DeletePerson
    | AddFace
    | UpdateFace
    | DeleteFace
    | ChangeMembers
    | NoteFindings
)
