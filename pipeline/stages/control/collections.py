"""Commands on collections: create, rename, train, forget."""

from datetime import datetime
from itertools import chain

import msgspec

from pipeline.changes import Change, Put, Tombstone
from pipeline.identifiers import membership_key, template_key
from pipeline.records import (
    DIRECTORY,
    KIND_WORDS,
    AddCollection,
    ChangeMembers,
    Collection,
    CollectionKind,
    FinishTraining,
    Membership,
    TrainCollection,
    Training,
    UpdateCollection,
)
from pipeline.stages.control.persons import forgotten_person
from pipeline.stages.control.tables import (
    GROUPS,
    LISTS,
    Consequence,
    RefusedError,
    Tables,
    collection_of,
    same_collection,
)
from pipeline.topology import COLLECTIONS, MEMBERSHIPS, TEMPLATES, Topic

# Limits of the Face service (face-contract 1.6 to 1.10). The rest share the one that its paid tier has for groups.
COLLECTIONS_OF: dict[CollectionKind, int] = {"facelist": 64}
COLLECTIONS_OF_OTHERS = 1_000_000
TRAINED = GROUPS | {"largefacelist"}

Changes = list[tuple[Topic, Change[object]]]


def add(state: Tables, command: AddCollection) -> Consequence:
    """Create a collection, with its members where it is a DynamicPersonGroup."""
    made = command.collection
    if command.scope != f"{made.kind}/{made.id}":
        raise RefusedError("BadArgument", f"the collection's kind and id are not {command.scope}")
    if state.live.collection_of(command.scope) is not None:
        raise RefusedError(f"{KIND_WORDS[made.kind]}Exists", f"a collection {command.scope} exists already")
    most = COLLECTIONS_OF.get(made.kind, COLLECTIONS_OF_OTHERS)
    if len(state.live.collections_of(made.kind, top=most)) >= most:
        raise RefusedError("QuotaExceeded", f"there are at most {most} of kind {made.kind}")
    if (made.recognition is None) != (made.kind == "dynamicpersongroup") or (
        command.members and made.kind != "dynamicpersongroup"
    ):
        raise RefusedError("BadArgument", f"'recognitionModel' or members do not fit a {made.kind}")
    joined = _joined(state, made.uid, command.members, command.requested_at)
    return Consequence([(COLLECTIONS, Put(made.uid, made)), *joined], made.uid)


def update(state: Tables, command: UpdateCollection | ChangeMembers) -> Consequence:
    """Put new words in the place of old ones, and change who belongs to a DynamicPersonGroup."""
    collection = same_collection(state, command.scope, command.uid)
    changes: Changes = []
    for words in (command.name, command.user_data):
        if words is not None and words.kid != collection.name.kid:
            raise RefusedError("BadArgument", "the words are not sealed with their collection's key")
    if command.name is not None or command.user_data is not None:
        renamed = msgspec.structs.replace(
            collection, name=command.name or collection.name, user_data=command.user_data or collection.user_data
        )
        changes.append((COLLECTIONS, Put(collection.uid, renamed)))
    if isinstance(command, ChangeMembers):
        if collection.kind != "dynamicpersongroup":
            raise RefusedError("BadArgument", f"a {collection.kind} has persons of its own and no members")
        changes += _joined(state, collection.uid, command.add, command.requested_at)
        changes += [
            (MEMBERSHIPS, Tombstone(membership_key(collection.uid, person)))
            for person in dict.fromkeys(command.remove)
            if state.live.is_member(collection.uid, person)
        ]
    return Consequence(changes, collection.uid)


def _joined(state: Tables, uid: str, members: tuple[str, ...], added: datetime) -> list[tuple[Topic, Change[object]]]:
    for person_id in members:
        person = state.live.persons.get(person_id)
        if person is None or person.collection != DIRECTORY:
            raise RefusedError("PersonNotFound", f"the directory has no person {person_id}")
    return [
        (
            MEMBERSHIPS,
            Put(membership_key(uid, person), Membership(collection=uid, person_id=person, added=added)),
        )
        for person in dict.fromkeys(members)
        if not state.live.is_member(uid, person)
    ]


def train(state: Tables, command: TrainCollection) -> Consequence:
    """Note what is to be searchable; the last training that succeeded stays known."""
    collection = collection_of(state, command.scope)
    if collection.kind not in TRAINED:
        raise RefusedError("BadArgument", f"a {collection.kind} needs no training")
    before = collection.training
    training = Training(
        target=command.target,
        requested=command.requested_at,
        succeeded_before=None if before is None else before.finished or before.succeeded_before,
    )
    return _trained(collection, training)


def finish_training(state: Tables, command: FinishTraining, at: datetime) -> Consequence:
    """Note that the index is behind the target; nothing where a newer training or collection took the place."""
    collection = same_collection(state, command.scope, command.uid)
    training = collection.training
    if training is None or training.target != command.target or training.finished is not None:
        return Consequence([], collection.uid)
    return _trained(collection, msgspec.structs.replace(training, finished=at))


def _trained(collection: Collection, training: Training) -> Consequence:
    return Consequence(
        [(COLLECTIONS, Put(collection.uid, msgspec.structs.replace(collection, training=training)))], collection.uid
    )


def forget(state: Tables, scope: str) -> Consequence:
    """Forget a collection with all that is its own: persons, templates, memberships - not the members."""
    collection = collection_of(state, scope)
    persons = state.live.persons_of(collection.uid)
    listed = state.live.templates_of(collection.uid) if collection.kind in LISTS else []
    changes: Changes = [
        (COLLECTIONS, Tombstone(collection.uid)),
        *chain.from_iterable(forgotten_person(state, person) for person in persons),
        *((TEMPLATES, Tombstone(template_key(collection.uid, each.persisted_face_id))) for each in listed),
        *(
            (MEMBERSHIPS, Tombstone(membership_key(collection.uid, person)))
            for person in state.live.members_of(collection.uid)
        ),
    ]
    kids = (collection.name.kid, *(person.kid for person in persons), *(each.vector.kid for each in listed))
    return Consequence(changes, collection.uid, kids, "collection")
