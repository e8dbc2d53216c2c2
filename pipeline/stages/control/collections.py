"""Commands on collections: create, rename, train, forget."""

from collections.abc import Iterator
from datetime import datetime

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
    Consequence,
    Leaving,
    RefusedError,
    Tables,
    collection_of,
    same_collection,
)
from pipeline.topology import COLLECTIONS, MEMBERSHIPS, PERSONS, TEMPLATES, Topic

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


def forget(state: Tables, scope: str, most: int) -> Consequence:
    """Forget a collection with all that is its own: persons, templates, memberships - not the members.

    The collection and some `most` records go at once, so that from then on nobody is found in it; the rest goes by
    `forget_more`: what a million persons leave would not get through one transaction in time.
    """
    collection = collection_of(state, scope)
    changes, kids = forget_more(state, collection.uid, most)
    whole = _whole(state, collection)
    return Consequence(
        [(COLLECTIONS, Tombstone(collection.uid)), *changes],
        collection.uid,
        (collection.name.kid, *kids),
        "collection",
        whole,
    )


def forget_more(state: Tables, uid: str, most: int) -> tuple[Changes, list[str]]:
    """The next `most` records of a collection that leaves, or as many more as the last person has; and their keys."""
    changes: Changes = []
    kids: list[str] = []
    for belonging, key in _belongings(state, uid, most):
        if len(changes) >= most:
            break
        changes += belonging
        kids += key
    return changes, kids


def _belongings(state: Tables, uid: str, most: int) -> Iterator[tuple[Changes, list[str]]]:
    live = state.live
    for person in live.persons_of(uid, top=most):
        yield forgotten_person(state, person), [person.kid]
    for face in live.faces_of(uid, top=most):
        key = template_key(uid, face)
        yield [(TEMPLATES, Tombstone(key))], [live.templates[key].vector.kid]
    for member in live.members_of(uid, top=most):
        yield [(MEMBERSHIPS, Tombstone(membership_key(uid, member)))], []


def _whole(state: Tables, collection: Collection) -> Leaving:
    """Counted, and not spelled out: the tables stand still meanwhile. Nobody of a group belongs to another one."""
    live, uid = state.live, collection.uid
    persons, listed = live.persons_of(uid), live.templates_of(uid)
    faces = len(listed) + sum(live.face_count_of(person.person_id) for person in persons)
    counts = {
        COLLECTIONS.name: 1,
        PERSONS.name: len(persons),
        TEMPLATES.name: faces,
        MEMBERSHIPS.name: len(live.members_of(uid)),
    }
    kids = [collection.name.kid, *(person.kid for person in persons), *(each.vector.kid for each in listed)]
    return Leaving({topic: count for topic, count in counts.items() if count}, kids)
