"""The one writer of the tables: what it accepts, what it refuses, and what follows from a deletion."""

import itertools
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pipeline.changes import Put, Tombstone
from pipeline.codec import Received, Unusable
from pipeline.receipts import destroyed_key
from pipeline.records import (
    AddCollection,
    AddFace,
    AddPerson,
    AnyCommand,
    Collection,
    DeleteCollection,
    DeleteFace,
    DeletePerson,
    ErasedKind,
    Erasure,
    Operation,
    Person,
    Template,
)
from pipeline.stages import control
from pipeline.stages.contract import DestroyKeys, Emit, Output
from pipeline.stages.control import REMEMBERED, Control, Tables
from pipeline.stages.control.faces import FACES_PER_PERSON
from pipeline.topology import COLLECTIONS, COMMANDS, CONTROL, OPERATIONS, PERSONS, TEMPLATES, Topic
from tests.pipeline.examples import NOON, collection, person, received, template

STAGE = Control()
PEOPLE, GUESTS = "largepersongroup/people", "largepersongroup/guests"
NUMBERS = itertools.count()


def heading(scope: str = PEOPLE, operation: str | None = None) -> dict[str, Any]:
    operation = operation or f"op-{next(NUMBERS)}"
    return {"operation_id": operation, "principal": "operator/test", "requested_at": NOON, "scope": scope}


def add_collection(made: Collection, scope: str | None = None) -> AddCollection:
    return AddCollection(**heading(scope or f"{made.kind}/{made.id}"), collection=made)


def add_person(made: Person, *templates: Template, scope: str = PEOPLE) -> AddPerson:
    return AddPerson(**heading(scope), person=made, templates=templates)


def add_face(made: Template, scope: str = PEOPLE) -> AddFace:
    return AddFace(**heading(scope), template=made)


def delete_collection(scope: str = PEOPLE) -> DeleteCollection:
    return DeleteCollection(**heading(scope))


def delete_person(person_id: str = "p0", scope: str = PEOPLE) -> DeletePerson:
    return DeletePerson(**heading(scope), person_id=person_id)


def delete_face(person_id: str = "p0", face_id: str = "e0", scope: str = PEOPLE) -> DeleteFace:
    return DeleteFace(**heading(scope), person_id=person_id, persisted_face_id=face_id)


Changes = list[tuple[Topic, str, bool]]
ERASING = Operation(
    operation_id="op",
    outcome="erasing",
    requested=NOON,
    finished=NOON,
    erasure=Erasure(kind="collection", subject="u0", principal="ann", counts={}),
)


@dataclass
class Step:
    """What one step caused: the tables' changes as (topic, key, whether it was put), outcomes, keys."""

    changes: Changes = field(default_factory=list)
    outcomes: list[Operation] = field(default_factory=list)
    destroyed: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)

    @property
    def outcome(self) -> Operation:
        (only,) = self.outcomes
        return only

    def take(self, output: Output | Unusable) -> None:
        match output:
            case DestroyKeys(kids=kids):
                self.destroyed += kids
                self.kinds.append("keys")
            case Emit(topic=topic, change=Put(value=value)) if topic is OPERATIONS:
                assert output.change.key == value.operation_id
                self.outcomes.append(value)
                self.kinds.append("outcome")
            case Emit(topic=topic, change=change):
                self.changes.append((topic, change.key, isinstance(change, Put)))
                self.kinds.append("change")
            case _:
                pytest.fail(f"control never causes {output}")


def step(state: Tables, *commands: AnyCommand) -> Step:
    inputs = [received(COMMANDS, Put(command.scope, command), offset) for offset, command in enumerate(commands)]
    _, outputs = STAGE.step(state, STAGE.prepare(inputs), NOON)
    caused = Step()
    for output in outputs:
        caused.take(output)
    return caused


def enrolled() -> Tables:
    """People (u0) with p0, who has e0 and e1, and with p1, who has none; guests (u1) with g0, who has e2."""
    state = STAGE.begin()
    caused = step(
        state,
        add_collection(collection()),
        add_collection(collection("u1", "guests")),
        add_person(person(), template(), template("e1")),
        add_person(person("p1")),
        add_person(person("g0", uid="u1"), template("e2", "g0", uid="u1"), scope=GUESTS),
    )
    assert [outcome.outcome for outcome in caused.outcomes] == ["succeeded"] * 5
    return state


ERASED: dict[type[AnyCommand], ErasedKind] = {
    DeleteCollection: "collection",
    DeletePerson: "person",
    DeleteFace: "face",
}
KEEPING = tuple(set(get_args(AnyCommand)) - ERASED.keys())


def erasure(command: AnyCommand, subject: str, changes: Changes, destroyed: list[str]) -> Erasure:
    """What the eraser is told of a deletion."""
    return Erasure(
        kind=ERASED[type(command)],
        subject=subject,
        principal=command.principal,
        counts=dict(sorted(Counter(topic.name for topic, _, put in changes if not put).items())),
        keys=tuple(sorted(destroyed_key(kid) for kid in destroyed)),
    )


ACCEPTED: dict[str, tuple[AnyCommand, Changes, list[str], str]] = {
    "a collection": (add_collection(collection("u2", "new")), [(COLLECTIONS, "u2", True)], [], "u2"),
    "a collection of another kind": (
        add_collection(collection("u2", kind="persongroup")),
        [(COLLECTIONS, "u2", True)],
        [],
        "u2",
    ),
    "a person without a face": (add_person(person("p2")), [(PERSONS, "p2", True)], [], "p2"),
    "a person with faces": (
        add_person(person("p2"), template("e3", "p2"), template("e4", "p2")),
        [(PERSONS, "p2", True), (TEMPLATES, "p2/e3", True), (TEMPLATES, "p2/e4", True)],
        [],
        "p2",
    ),
    "a face": (add_face(template("e3", "p1")), [(TEMPLATES, "p1/e3", True)], [], "e3"),
    "a face less": (delete_face(), [(TEMPLATES, "p0/e0", False)], [], "e0"),
    "a person less": (
        delete_person(),
        [(PERSONS, "p0", False), (TEMPLATES, "p0/e0", False), (TEMPLATES, "p0/e1", False)],
        ["key-of-p0"],
        "p0",
    ),
    "a person without a face less": (delete_person("p1"), [(PERSONS, "p1", False)], ["key-of-p1"], "p1"),
    "a collection less": (
        delete_collection(),
        [
            (COLLECTIONS, "u0", False),
            (PERSONS, "p0", False),
            (TEMPLATES, "p0/e0", False),
            (TEMPLATES, "p0/e1", False),
            (PERSONS, "p1", False),
        ],
        ["key-of-u0", "key-of-p0", "key-of-p1"],
        "u0",
    ),
}


@pytest.mark.parametrize(("command", "changes", "destroyed", "resource"), ACCEPTED.values(), ids=ACCEPTED)
def test_what_is_accepted_and_what_follows(
    command: AnyCommand, changes: Changes, destroyed: list[str], resource: str
) -> None:
    caused = step(enrolled(), command)
    assert caused.changes == changes
    assert sorted(caused.destroyed) == sorted(destroyed)
    assert caused.outcome == Operation(
        operation_id=command.operation_id,
        outcome="succeeded" if isinstance(command, KEEPING) else "erasing",
        requested=NOON,
        finished=NOON,
        resource=resource,
        forgotten=sum(not put for _, _, put in changes),
        erasure=None if isinstance(command, KEEPING) else erasure(command, resource, changes, destroyed),
    )
    # The key first, the outcome last: whoever hears of a deletion may rely on all of it.
    assert caused.kinds == ["keys"] * bool(destroyed) + ["change"] * len(changes) + ["outcome"]


def test_every_tombstone_of_a_deletion_says_what_caused_it() -> None:
    state, command = enrolled(), delete_person()
    inputs = [received(COMMANDS, Put(command.scope, command))]
    _, outputs = STAGE.step(state, STAGE.prepare(inputs), NOON)
    causes = {
        output.change.cause for output in outputs if isinstance(output, Emit) and isinstance(output.change, Tombstone)
    }
    assert causes == {command.operation_id}


REFUSED: dict[str, tuple[AnyCommand, str, str]] = {
    "a name that is taken": (
        add_collection(collection("u2")),
        "LargePersonGroupExists",
        "a collection largepersongroup/people exists already",
    ),
    "a collection under another's name": (
        add_collection(collection("u2", "new"), scope=GUESTS),
        "BadArgument",
        "the collection's kind and id are not largepersongroup/guests",
    ),
    "a person of no collection": (
        add_person(person("p2", uid="u7"), scope="largepersongroup/nobody"),
        "LargePersonGroupNotFound",
        "there is no collection largepersongroup/nobody",
    ),
    "a person of a collection before its re-creation": (
        add_person(person("p2", uid="u7")),
        "LargePersonGroupNotFound",
        "there is no collection largepersongroup/people",
    ),
    "a person of another collection": (
        add_person(person("p2", uid="u1")),
        "LargePersonGroupNotFound",
        "there is no collection largepersongroup/people",
    ),
    "a person who is there": (add_person(person()), "PersonExists", "a person p0 exists already"),
    "a face of nobody": (
        add_face(template("e3", "p9")),
        "PersonNotFound",
        "largepersongroup/people has no person p9",
    ),
    "a face of somebody elsewhere": (
        add_face(template("e3", "g0", uid="u1")),
        "PersonNotFound",
        "largepersongroup/people has no person g0",
    ),
    "a face for another collection": (
        add_face(template("e3", uid="u1")),
        "BadArgument",
        "the template is not one of person p0",
    ),
    "a face for another kind of collection": (
        add_face(template("e3", kind="persongroup")),
        "BadArgument",
        "the template is not one of person p0",
    ),
    "a new person's face for somebody else": (
        add_person(person("p2"), template("e3", "p0", kid="key-of-p2")),
        "BadArgument",
        "the template is not one of person p2",
    ),
    "a face under another key": (
        add_face(template("e3", kid="key-of-p1")),
        "BadArgument",
        "the template is not sealed with its person's key",
    ),
    "a face of another model": (
        add_face(template("e3", model="other")),
        "BadArgument",
        "'recognitionModel' is incompatible.",
    ),
    "a person with a face of another model": (
        add_person(person("p2"), template("e3", "p2"), template("e4", "p2", model="other")),
        "BadArgument",
        "'recognitionModel' is incompatible.",
    ),
    "nobody less": (delete_person("p9"), "PersonNotFound", "largepersongroup/people has no person p9"),
    "somebody less, in the name of another collection": (
        delete_person("g0"),
        "PersonNotFound",
        "largepersongroup/people has no person g0",
    ),
    "somebody less, in the name of no collection": (
        delete_person(scope="persongroup/people"),
        "PersonGroupNotFound",
        "there is no collection persongroup/people",
    ),
    "a face less of nobody": (delete_face("p9"), "PersonNotFound", "largepersongroup/people has no person p9"),
    "a face less that is not there": (
        delete_face("p1"),
        "PersistedFaceNotFound",
        "person p1 has no face e0",
    ),
    "a face less, in the name of another collection": (
        delete_face(scope=GUESTS),
        "PersonNotFound",
        "largepersongroup/guests has no person p0",
    ),
    "no collection less": (
        delete_collection("persongroup/people"),
        "PersonGroupNotFound",
        "there is no collection persongroup/people",
    ),
}


@pytest.mark.parametrize(("command", "code", "message"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_changes_nothing_and_says_why(command: AnyCommand, code: str, message: str) -> None:
    caused = step(enrolled(), command)
    assert (caused.changes, caused.destroyed) == ([], [])
    assert caused.outcome == Operation(
        operation_id=command.operation_id, outcome="failed", requested=NOON, finished=NOON, code=code, message=message
    )


def test_a_person_has_at_most_248_faces() -> None:
    state = enrolled()
    many = [template(f"m{number}") for number in range(FACES_PER_PERSON - 2)]
    assert all(outcome.outcome == "succeeded" for outcome in step(state, *map(add_face, many)).outcomes)
    caused = step(state, add_face(template("one-more")))
    assert (caused.changes, caused.outcome.code) == ([], "QuotaExceeded")
    assert step(state, delete_face(), add_face(template("one-more"))).outcomes[-1].outcome == "succeeded"


def test_nobody_comes_with_more_faces_than_that() -> None:
    crowd = [template(f"m{number}", "p2") for number in range(FACES_PER_PERSON + 1)]
    assert step(enrolled(), add_person(person("p2"), *crowd)).outcome.code == "QuotaExceeded"
    assert step(enrolled(), add_person(person("p2"), *crowd[1:])).outcome.outcome == "succeeded"


def test_a_collection_has_a_limit_of_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(control.persons.PERSONS_IN, "largepersongroup", 2)
    state = enrolled()
    caused = step(state, add_person(person("p2")))
    assert (caused.outcome.code, caused.outcome.message) == (
        "QuotaExceeded",
        "a largepersongroup has at most 2 persons",
    )
    assert step(state, add_person(person("g1", uid="u1"), scope=GUESTS)).outcome.outcome == "succeeded"
    step(state, delete_person("p1"))
    assert step(state, add_person(person("p2"))).outcome.outcome == "succeeded"


def test_the_same_operation_is_carried_out_once_also_within_one_step() -> None:
    state, command = enrolled(), delete_person()
    assert len(step(state, command, command).outcomes) == 1
    assert step(state, command).kinds == []
    refused = msgspec.structs.replace(delete_person("p9"), operation_id=command.operation_id)
    assert step(state, refused).kinds == []


def test_a_refusal_too_is_the_first_and_only_outcome() -> None:
    state, command = enrolled(), add_person(person("p2", uid="u2"), scope="largepersongroup/new")
    assert step(state, command).outcome.outcome == "failed"
    assert step(state, add_collection(collection("u2", "new"))).outcome.outcome == "succeeded"
    assert step(state, command).kinds == []


def test_a_collection_made_again_under_its_old_name_begins_empty() -> None:
    state = enrolled()
    caused = step(state, delete_collection(), add_collection(collection("u9")), add_face(template("e3")))
    assert [outcome.outcome for outcome in caused.outcomes] == ["erasing", "succeeded", "failed"]
    assert step(state, delete_collection()).changes == [(COLLECTIONS, "u9", False)]


def test_commands_of_one_step_see_each_other() -> None:
    caused = step(STAGE.begin(), add_collection(collection()), add_person(person()), add_face(template()))
    assert [key for _, key, _ in caused.changes] == ["u0", "p0", "p0/e0"]


def test_a_tombstone_among_the_commands_asks_for_nothing() -> None:
    assert STAGE.prepare([received(COMMANDS, Tombstone(PEOPLE))]) == []


def forgotten_in_portions(state: Tables, most: int) -> tuple[list[Step], list[Output | Unusable]]:
    """The step that accepts the deletion of people, and the ticks until nothing is left to be forgotten."""
    small = Control(portion=most)
    command = delete_collection()
    state, outputs = small.step(state, [command], NOON)
    everything, steps = list(outputs), [outputs]
    while True:
        state, more, due = small.tick(state, NOON)
        if not more:
            assert due is not None
            assert due > NOON
            break
        assert due == NOON, "the next portion is due at once"
        steps.append([*more])
        everything += more
    caused = []
    for each in steps:
        caused.append(Step())
        for output in each:
            caused[-1].take(output)
    return caused, everything


@pytest.mark.parametrize("most", [1, 2, 3, 4, 100])
def test_a_large_collection_goes_in_portions_and_the_first_says_how_much_it_is(most: int) -> None:
    caused, everything = forgotten_in_portions(enrolled(), most)
    (at_once,), _ = forgotten_in_portions(enrolled(), 100)
    first, *later = caused
    assert first.changes[0] == (COLLECTIONS, "u0", False)
    assert first.outcome.forgotten == at_once.outcome.forgotten == 5
    assert first.outcome.erasure is not None
    assert at_once.outcome.erasure is not None
    assert first.outcome.erasure.counts == at_once.outcome.erasure.counts
    assert first.outcome.erasure.keys == at_once.outcome.erasure.keys
    # Never more than a portion, or the last person's whole: p0 has three records.
    assert all(len(each.changes) <= most + 2 for each in later)
    assert [change for each in caused for change in each.changes] == at_once.changes
    assert sorted(kid for each in caused for kid in each.destroyed) == sorted(at_once.destroyed)
    assert all(each.kinds[0] == "keys" for each in caused)
    causes = {each.change.cause for each in everything if isinstance(each, Emit) and isinstance(each.change, Tombstone)}
    assert causes == {first.outcome.operation_id}


def test_between_two_portions_nobody_is_found_in_the_collection_and_it_can_be_made_again() -> None:
    state, small = enrolled(), Control(portion=1)
    state, _ = small.step(state, [delete_collection()], NOON)
    assert step(state, delete_person("p1")).outcome.code == "LargePersonGroupNotFound"
    assert step(state, add_collection(collection("u9"))).outcome.outcome == "succeeded"
    assert step(state, delete_person("p1")).outcome.code == "PersonNotFound"
    state, more, _ = small.tick(state, NOON)
    assert [each.change.key for each in more if isinstance(each, Emit)] == ["p1"]
    assert "u9" in state.live.collections


def test_whoever_takes_over_between_two_portions_goes_on_with_what_is_left() -> None:
    state, small = enrolled(), Control(portion=1)
    state, outputs = small.step(state, [delete_collection()], NOON)
    (told,) = [each.change for each in outputs if isinstance(each, Emit) and each.topic is OPERATIONS]
    heir = replace(state, leaving={})
    heir = small.replay(heir, received(OPERATIONS, told))
    _, more, _ = small.tick(heir, NOON)
    assert [each.change for each in more if isinstance(each, Emit)] == [Tombstone("p1", told.key)]


def test_what_is_done_is_left_alone() -> None:
    state, (told, done) = (
        enrolled(),
        (msgspec.structs.replace(ERASING, outcome=each) for each in ("erasing", "succeeded")),
    )
    for each in (told, done):
        state = STAGE.replay(state, received(OPERATIONS, Put(each.operation_id, each)))
    assert STAGE.tick(state, NOON)[1] == []


def test_lists_and_dynamic_groups_go_in_portions_too() -> None:
    state, small = STAGE.begin(), Control(portion=1)
    listed = [
        template(f"e{number}", None, uid="u1", kind="largefacelist", kid=f"key-of-e{number}") for number in (0, 1)
    ]
    step(
        state,
        add_collection(collection("u1", "list", kind="largefacelist")),
        *(add_face(each, scope="largefacelist/list") for each in listed),
    )
    _, outputs = small.step(state, [delete_collection("largefacelist/list")], NOON)
    assert [each.change.key for each in outputs if isinstance(each, Emit)][:-1] == ["u1", "u1/e0"]
    _, more, _ = small.tick(state, NOON)
    assert more[0] == DestroyKeys(("key-of-e1",))
    assert [each.change.key for each in more[1:] if isinstance(each, Emit)] == ["u1/e1"]


@pytest.mark.parametrize("command", [delete_person(), delete_face(), delete_collection()])
def test_a_deletion_is_never_passed_over(command: AnyCommand) -> None:
    assert not STAGE.may_pass_over(received(COMMANDS, Put(command.scope, command)))


def test_whoever_asked_for_what_is_given_up_hears_that_it_failed() -> None:
    state, command = enrolled(), add_person(person("p2"))
    given_up = received(COMMANDS, Put(command.scope, command))
    assert STAGE.may_pass_over(given_up)
    state, outputs = STAGE.pass_over(state, given_up, NOON)
    caused = Step()
    for output in outputs:
        caused.take(output)
    assert (caused.outcome.operation_id, caused.outcome.outcome) == (command.operation_id, "failed")
    assert (caused.outcome.code, caused.changes) == ("InternalServerError", [])
    assert step(state, command).kinds == [], "a repeated request finds that outcome"
    assert STAGE.pass_over(state, given_up, NOON)[1] == []


def test_what_is_given_up_when_it_was_carried_out_before_keeps_its_outcome() -> None:
    state, command = enrolled(), add_person(person("p2"))
    assert step(state, command).outcome.outcome == "succeeded"
    assert STAGE.pass_over(state, received(COMMANDS, Put(command.scope, command)), NOON)[1] == []


def test_a_tombstone_among_the_commands_is_owed_nothing() -> None:
    tombstone = received(COMMANDS, Tombstone(PEOPLE))
    assert STAGE.may_pass_over(tombstone)
    assert STAGE.pass_over(STAGE.begin(), tombstone, NOON)[1] == []


def test_time_alone_writes_nothing_and_ages_the_outcomes() -> None:
    assert STAGE.node is CONTROL
    state, outputs = STAGE.step(STAGE.begin(), [add_collection(collection())], NOON)
    assert outputs
    state, caused, due = STAGE.tick(state, NOON)
    assert (caused, len(state.outcomes)) == ([], 1)
    assert due is not None
    assert not STAGE.tick(state, NOON + REMEMBERED)[0].outcomes


# --- any history, against a model of dicts ---------------------------------------------------------------------------

SCOPES = st.sampled_from([PEOPLE, GUESTS, "persongroup/people"])
PERSON_IDS = st.sampled_from(["p0", "p1", "p2"])
FACE_IDS = st.sampled_from(["e0", "e1", "e2"])


class History(RuleBasedStateMachine):
    """Commands at random. The model: collections by scope, persons with their scope, faces by person."""

    def __init__(self) -> None:
        super().__init__()
        self.state = STAGE.begin()
        self.uids: dict[str, str] = {}
        self.persons: dict[str, str] = {}
        self.faces: dict[str, set[str]] = {}
        self.kids: dict[str, str] = {}
        self.written: list[Received] = []
        self.destroyed: set[str] = set()
        self.made = itertools.count()

    def carried_out(self, command: AnyCommand, expected: bool) -> None:
        inputs = [received(COMMANDS, Put(command.scope, command))]
        self.state, outputs = STAGE.step(self.state, STAGE.prepare(inputs), NOON)
        caused = Step()
        for output in outputs:
            caused.take(output)
            if isinstance(output, Emit):
                self.written.append(received(output.topic, output.change))
        self.destroyed.update(caused.destroyed)
        assert (caused.outcome.outcome != "failed") == expected
        assert STAGE.step(self.state, STAGE.prepare(inputs), NOON)[1] == [], "a repetition causes nothing"

    @rule(scope=SCOPES)
    def add_collection(self, scope: str) -> None:
        kind, _, given = scope.partition("/")
        uid = f"u{next(self.made)}"
        made = msgspec.structs.replace(collection(uid, given), kind=kind)
        self.carried_out(add_collection(made), scope not in self.uids)
        if self.uids.setdefault(scope, uid) == uid:
            self.kids[uid] = f"key-of-{uid}"

    @rule(scope=SCOPES, person_id=PERSON_IDS, faces=st.sets(FACE_IDS, max_size=2))
    def add_person(self, scope: str, person_id: str, faces: set[str]) -> None:
        kid, uid = f"kid{next(self.made)}", self.uids.get(scope, "none")
        expected = scope in self.uids and person_id not in self.persons
        self.carried_out(
            add_person(
                person(person_id, uid=uid, kid=kid), *self.templates(scope, person_id, kid, sorted(faces)), scope=scope
            ),
            expected,
        )
        if expected:
            self.persons[person_id], self.faces[person_id], self.kids[person_id] = scope, set(faces), kid

    def templates(self, scope: str, person_id: str, kid: str, faces: Iterable[str]) -> list[Template]:
        kind = scope.partition("/")[0]
        made = [template(face, person_id, uid=self.uids.get(scope, "none"), kid=kid) for face in faces]
        return [msgspec.structs.replace(each, kind=kind) for each in made]

    @rule(scope=SCOPES, person_id=PERSON_IDS, face=FACE_IDS)
    def add_face(self, scope: str, person_id: str, face: str) -> None:
        expected = self.persons.get(person_id) == scope
        (made,) = self.templates(scope, person_id, self.kids.get(person_id, "none"), [face])
        self.carried_out(add_face(made, scope), expected)
        if expected:
            self.faces[person_id].add(face)

    @rule(scope=SCOPES, person_id=PERSON_IDS, face=FACE_IDS)
    def delete_face(self, scope: str, person_id: str, face: str) -> None:
        expected = self.persons.get(person_id) == scope and face in self.faces[person_id]
        self.carried_out(delete_face(person_id, face, scope), expected)
        if expected:
            self.faces[person_id].remove(face)

    @rule(scope=SCOPES, person_id=PERSON_IDS)
    def delete_person(self, scope: str, person_id: str) -> None:
        expected = self.persons.get(person_id) == scope
        self.carried_out(delete_person(person_id, scope), expected)
        if expected:
            self.forget(person_id)

    @rule(scope=SCOPES)
    def delete_collection(self, scope: str) -> None:
        self.carried_out(delete_collection(scope), scope in self.uids)
        if scope in self.uids:
            assert self.kids[self.uids.pop(scope)] in self.destroyed
            for person_id in [each for each, its in self.persons.items() if its == scope]:
                self.forget(person_id)

    def forget(self, person_id: str) -> None:
        del self.persons[person_id], self.faces[person_id]
        assert self.kids.pop(person_id) in self.destroyed

    @rule()
    def restart(self) -> None:
        """A new owner of the partition knows what was written, and nothing else."""
        outcomes, self.state = self.state.outcomes, STAGE.begin()
        for each in self.written:
            self.state = STAGE.replay(self.state, each)
        assert self.state.outcomes == outcomes

    @invariant()
    def tables_are_those_of_the_model(self) -> None:
        live = self.state.live
        assert {f"{each.kind}/{each.id}": uid for uid, each in live.collections.items()} == self.uids
        assert {key: each.collection for key, each in live.persons.items()} == {
            key: self.uids[scope] for key, scope in self.persons.items()
        }
        assert set(live.templates) == {f"{key}/{face}" for key, faces in self.faces.items() for face in faces}
        assert {key: set(live.faces_of(key)) for key in self.faces} == self.faces

    @invariant()
    def whoever_lives_has_a_key_and_whoever_does_not_has_none(self) -> None:
        living = {each.kid for each in self.state.live.persons.values()}
        assert not living & self.destroyed
        assert all(each.vector.kid in living for each in self.state.live.templates.values())


History.TestCase.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
test_any_history_leaves_what_the_model_says = History.TestCase


def test_an_outcome_that_grew_old_is_forgotten() -> None:
    """Its topic forgets it after two days; a request repeated after that is a new one."""
    state, command = enrolled(), delete_person("p1")
    told = step(state, command).outcome
    state = STAGE.replay(state, received(OPERATIONS, Tombstone(told.operation_id)))
    assert step(state, command).outcome.code == "PersonNotFound"
