"""The one writer of the tables: checks what was asked for, writes what follows from it, and says how it ended."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pipeline.changes import Change, Put, Tombstone
from pipeline.codec import Received, Unusable
from pipeline.records import (
    AddCollection,
    AddFace,
    AddPerson,
    AnyCommand,
    DeleteCollection,
    DeleteFace,
    DeletePerson,
    Operation,
    Person,
    Template,
)
from pipeline.stages.contract import DestroyKeys, Emit, Output
from pipeline.topology import COLLECTIONS, CONTROL, OPERATIONS, PERSONS, TEMPLATES, Node, Topic
from pipeline.views import LiveSet

# Limits of the Face service, https://learn.microsoft.com/azure/ai-services/computer-vision/ (face-contract).
FACES_PER_PERSON = 248
# As long as `operations` keeps them.
REMEMBERED = timedelta(hours=48)
SWEEP = timedelta(hours=1)
CODE = {"persongroup": "PersonGroup", "largepersongroup": "LargePersonGroup"}
PERSONS_PER_COLLECTION = {"persongroup": 1_000, "largepersongroup": 1_000_000}


@dataclass(slots=True)
class Tables:
    """One partition of the tables, and the outcomes already given. Handed from step to step; changed in place."""

    live: LiveSet = field(default_factory=LiveSet)
    faces: dict[str, set[str]] = field(default_factory=dict)
    outcomes: dict[str, datetime] = field(default_factory=dict)


class _RefusedError(Exception):
    """The command cannot be carried out: a code of the Face service, and a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class _Consequence:
    """What an accepted command causes."""

    changes: Sequence[tuple[Topic, Change[object]]]
    resource: str
    destroyed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Control:
    """Commands in, tables and outcomes out, in one transaction; a repeated command finds its first outcome."""

    batch: int = 100

    @property
    def node(self) -> Node:
        return CONTROL

    def begin(self) -> Tables:
        return Tables()

    def replay(self, state: Tables, received: Received) -> Tables:
        if received.topic is OPERATIONS:
            if isinstance(received.change, Put):
                state.outcomes[received.change.key] = received.change.value.finished
            else:
                state.outcomes.pop(received.change.key, None)
        else:
            _learn(state, received.topic, received.change)
        return state

    def prepare(self, inputs: Sequence[Received]) -> Sequence[AnyCommand]:
        return [received.change.value for received in inputs if isinstance(received.change, Put)]

    def step(
        self, state: Tables, prepared: Sequence[AnyCommand], now: datetime
    ) -> tuple[Tables, list[Output | Unusable]]:
        outputs: list[Output | Unusable] = []
        for command in prepared:
            if command.operation_id in state.outcomes:
                continue
            outputs += self._carry_out(state, command, now)
            state.outcomes[command.operation_id] = now
        return state, outputs

    def _carry_out(self, state: Tables, command: AnyCommand, now: datetime) -> list[Output]:
        try:
            consequence = _consequence(state, command)
        except _RefusedError as refusal:
            outcome = Operation(
                operation_id=command.operation_id,
                outcome="failed",
                finished=now,
                code=refusal.code,
                message=str(refusal),
            )
            return [Emit(OPERATIONS, Put(command.operation_id, outcome))]
        for topic, change in consequence.changes:
            _learn(state, topic, change)
        outcome = Operation(
            operation_id=command.operation_id,
            outcome="succeeded",
            finished=now,
            resource=consequence.resource,
            forgotten=sum(isinstance(change, Tombstone) for _, change in consequence.changes),
        )
        # The key goes first: whatever fails after it, nobody reads a template of the person again.
        outputs: list[Output] = [DestroyKeys(consequence.destroyed)] if consequence.destroyed else []
        outputs += [Emit(topic, change) for topic, change in consequence.changes]
        return [*outputs, Emit(OPERATIONS, Put(command.operation_id, outcome))]

    def tick(self, state: Tables, now: datetime) -> tuple[Tables, list[Output], datetime | None]:
        old = [operation for operation, finished in state.outcomes.items() if finished <= now - REMEMBERED]
        for operation in old:
            del state.outcomes[operation]
        return state, [], now + SWEEP


def _learn(state: Tables, topic: Topic, change: Change[object]) -> None:
    state.live.apply_change(topic, change)
    if topic is TEMPLATES:
        person, _, face = change.key.partition("/")
        if isinstance(change, Put):
            state.faces.setdefault(person, set()).add(face)
        elif person in state.faces:
            state.faces[person].discard(face)
            if not state.faces[person]:
                del state.faces[person]


def _consequence(state: Tables, command: AnyCommand) -> _Consequence:
    match command:
        case AddCollection(collection=collection):
            if command.scope != f"{collection.kind}/{collection.id}":
                raise _RefusedError("BadArgument", f"the collection's kind and id are not {command.scope}")
            if state.live.collection_of(command.scope) is not None:
                raise _RefusedError(f"{CODE[collection.kind]}Exists", f"a collection {command.scope} exists already")
            return _Consequence([(COLLECTIONS, Put(collection.uid, collection))], collection.uid)
        case DeleteCollection():
            return _forget_collection(state, command.scope)
        case AddPerson(person=person, templates=templates):
            return _add_person(state, command.scope, person, templates)
        case AddFace(template=template):
            person = _person(state, command.scope, template.person_id)
            _check_templates(state, person, [template])
            return _Consequence([_put(template)], template.persisted_face_id)
        case DeletePerson(person_id=person_id):
            return _forget_person(state, _person(state, command.scope, person_id))
        case DeleteFace(person_id=person_id, persisted_face_id=face):
            _person(state, command.scope, person_id)
            if face not in state.faces.get(person_id, ()):
                raise _RefusedError("PersistedFaceNotFound", f"person {person_id} has no face {face}")
            return _Consequence([(TEMPLATES, Tombstone(f"{person_id}/{face}"))], face)


def _put(template: Template) -> tuple[Topic, Change[object]]:
    return TEMPLATES, Put(f"{template.person_id}/{template.persisted_face_id}", template)


def _person(state: Tables, scope: str, person_id: str) -> Person:
    collection = state.live.collection_of(scope)
    person = state.live.persons.get(person_id)
    if collection is None or person is None or person.collection != collection.uid:
        raise _RefusedError("PersonNotFound", f"{scope} has no person {person_id}")
    return person


def _check_templates(state: Tables, person: Person, templates: Sequence[Template]) -> None:
    collection = state.live.collections[person.collection]
    if len(state.faces.get(person.person_id, ())) + len(templates) > FACES_PER_PERSON:
        raise _RefusedError("QuotaExceeded", f"a person has at most {FACES_PER_PERSON} faces")
    for template in templates:
        if template.model != collection.model:
            raise _RefusedError(
                "BadArgument",
                f"'recognitionModel' is incompatible: the collection holds {collection.model} templates, "
                f"this one is of {template.model}",
            )
        if (template.person_id, template.collection, template.kind) != (
            person.person_id,
            collection.uid,
            collection.kind,
        ):
            raise _RefusedError("BadArgument", f"the template is not one of person {person.person_id}")
        if template.vector.kid != person.kid:
            raise _RefusedError("BadArgument", "the template is not sealed with its person's key")


def _no_collection(scope: str) -> _RefusedError:
    code = f"{CODE.get(scope.partition('/')[0], 'LargePersonGroup')}NotFound"
    return _RefusedError(code, f"there is no collection {scope}")


def _add_person(state: Tables, scope: str, person: Person, templates: Sequence[Template]) -> _Consequence:
    collection = state.live.collection_of(scope)
    if collection is None or collection.uid != person.collection:
        raise _no_collection(scope)
    if person.person_id in state.live.persons:
        raise _RefusedError("PersonExists", f"a person {person.person_id} exists already")
    most = PERSONS_PER_COLLECTION[collection.kind]
    if state.live.count_of(collection.uid) >= most:
        raise _RefusedError("QuotaExceeded", f"a {collection.kind} has at most {most} persons")
    _check_templates(state, person, templates)
    return _Consequence(
        [(PERSONS, Put(person.person_id, person)), *(_put(template) for template in templates)], person.person_id
    )


def _forgotten(state: Tables, person: Person) -> list[tuple[Topic, Change[object]]]:
    """The person first, so that the live set names nobody by a template that still waits for its tombstone."""
    faces = sorted(state.faces.get(person.person_id, ()))
    return [
        (PERSONS, Tombstone(person.person_id)),
        *((TEMPLATES, Tombstone(f"{person.person_id}/{face}")) for face in faces),
    ]


def _forget_person(state: Tables, person: Person) -> _Consequence:
    return _Consequence(_forgotten(state, person), person.person_id, (person.kid,))


def _forget_collection(state: Tables, scope: str) -> _Consequence:
    collection = state.live.collection_of(scope)
    if collection is None:
        raise _no_collection(scope)
    persons = state.live.persons_of(collection.uid)
    changes: list[tuple[Topic, Change[object]]] = [(COLLECTIONS, Tombstone(collection.uid))]
    for person in persons:
        changes += _forgotten(state, person)
    return _Consequence(changes, collection.uid, (collection.name.kid, *(person.kid for person in persons)))
