"""What control makes of face lists, the PersonDirectory, DynamicPersonGroups, new words and trainings."""

import msgspec
import pytest

from pipeline.records import (
    DIRECTORY,
    AddCollection,
    AddFace,
    AnyCommand,
    ChangeMembers,
    CollectionKind,
    DeleteFace,
    FinishTraining,
    Person,
    Recognition,
    Sealed,
    Template,
    TrainCollection,
    UpdateCollection,
    UpdateFace,
    UpdatePerson,
)
from pipeline.stages.control import Tables, collections, faces
from pipeline.topology import COLLECTIONS, MEMBERSHIPS, PERSONS, TEMPLATES
from tests.pipeline.examples import MODEL, NOON, collection, person, sealed, template
from tests.pipeline.stages.test_control import (
    STAGE,
    Changes,
    add_collection,
    add_person,
    delete_collection,
    delete_person,
    heading,
    step,
)

LIST, LARGE_LIST, TEAM, PEOPLE = "facelist/wanted", "largefacelist/seen", "dynamicpersongroup/team", "persongroup/staff"


def listed(face_id: str = "l0", *, uid: str = "u0", kid: str | None = None) -> Template:
    kind: CollectionKind = "largefacelist" if uid == "u1" else "facelist"
    return template(face_id, None, uid=uid, kid=kid or f"key-of-{face_id}", kind=kind)


def citizen(person_id: str = "d0") -> Person:
    return person(person_id, uid=DIRECTORY)


def portrait(face_id: str, person_id: str = "d0", *, name: str = "recognition_04") -> Template:
    made = template(face_id, person_id, uid=DIRECTORY, kind=DIRECTORY)
    return msgspec.structs.replace(made, recognition=Recognition(MODEL, name))  # type: ignore[arg-type]


def add_face(made: Template, scope: str = LIST) -> AddFace:
    return AddFace(**heading(scope), template=made)


def members(add: tuple[str, ...] = (), remove: tuple[str, ...] = (), **words: Sealed) -> ChangeMembers:
    return ChangeMembers(**heading(TEAM), uid="u2", add=add, remove=remove, **words)  # type: ignore[arg-type]


def furnished() -> Tables:
    """Lists u0 (with l0) and u1 (large, empty), group u3 with p0, the directory with d0 and d1; d0 is in team u2."""
    state = STAGE.begin()
    caused = step(
        state,
        add_collection(collection("u0", "wanted", kind="facelist")),
        add_collection(collection("u1", "seen", kind="largefacelist")),
        add_face(listed()),
        add_person(citizen(), portrait("e0"), scope=DIRECTORY),
        add_person(citizen("d1"), scope=DIRECTORY),
        add_collection(collection("u2", "team", kind="dynamicpersongroup")),
        members(("d0",)),
        add_collection(collection("u3", "staff", kind="persongroup")),
        add_person(person("p0", uid="u3"), scope=PEOPLE),
    )
    assert [outcome.outcome for outcome in caused.outcomes] == ["succeeded"] * 9
    return state


ACCEPTED: dict[str, tuple[AnyCommand, Changes, list[str]]] = {
    "a listed face": (add_face(listed("l1")), [(TEMPLATES, "u0/l1", True)], []),
    "a listed face less, with its own key": (
        DeleteFace(**heading(LIST), persisted_face_id="l0"),
        [(TEMPLATES, "u0/l0", False)],
        ["key-of-l0"],
    ),
    "a list less, with the keys of its faces": (
        delete_collection(LIST),
        [(COLLECTIONS, "u0", False), (TEMPLATES, "u0/l0", False)],
        ["key-of-u0", "key-of-l0"],
    ),
    "a face of somebody in the directory": (
        add_face(portrait("e1"), DIRECTORY),
        [(TEMPLATES, "d0/e1", True)],
        [],
    ),
    "a face of another recognition model, which the directory takes": (
        add_face(portrait("e1", name="recognition_03"), DIRECTORY),
        [(TEMPLATES, "d0/e1", True)],
        [],
    ),
    "somebody joins and somebody leaves": (
        members(("d1", "d1", "d0"), ("d0",)),
        [(MEMBERSHIPS, "u2/d1", True), (MEMBERSHIPS, "u2/d0", False)],
        [],
    ),
    "whoever is no member leaves": (members((), ("d1", "nobody")), [], []),
    "a team with its members": (
        AddCollection(
            **heading("dynamicpersongroup/two"),
            collection=collection("u9", "two", kind="dynamicpersongroup"),
            members=("d0", "d1"),
        ),
        [(COLLECTIONS, "u9", True), (MEMBERSHIPS, "u9/d0", True), (MEMBERSHIPS, "u9/d1", True)],
        [],
    ),
    "a team less, without its members": (
        delete_collection(TEAM),
        [(COLLECTIONS, "u2", False), (MEMBERSHIPS, "u2/d0", False)],
        ["key-of-u2"],
    ),
    "somebody of the directory less, and out of the team": (
        delete_person("d0", DIRECTORY),
        [(PERSONS, "d0", False), (TEMPLATES, "d0/e0", False), (MEMBERSHIPS, "u2/d0", False)],
        ["key-of-d0"],
    ),
}


@pytest.mark.parametrize(("command", "changes", "destroyed"), ACCEPTED.values(), ids=ACCEPTED)
def test_what_is_accepted_and_what_follows(command: AnyCommand, changes: Changes, destroyed: list[str]) -> None:
    caused = step(furnished(), command)
    assert caused.outcome.outcome == ("erasing" if caused.outcome.erasure else "succeeded"), caused.outcome
    assert caused.changes == changes
    assert sorted(caused.destroyed) == sorted(destroyed)


REFUSED: dict[str, tuple[AnyCommand, str]] = {
    "a listed face for a list before its re-creation": (add_face(listed(uid="u8")), "FaceListNotFound"),
    "a listed face for a group": (
        add_face(template("e1", None, uid="u3", kind="persongroup"), PEOPLE),
        "BadArgument",
    ),
    "a listed face of another recognition model": (
        add_face(msgspec.structs.replace(listed("l1"), recognition=Recognition(MODEL, "recognition_01"))),
        "BadArgument",
    ),
    "a person for a list": (add_person(person("p9", uid="u0"), scope=LIST), "BadArgument"),
    "a person for a team": (add_person(person("p9", uid="u2"), scope=TEAM), "BadArgument"),
    "a listed face less that is not there": (
        DeleteFace(**heading(LIST), persisted_face_id="l9"),
        "PersistedFaceNotFound",
    ),
    "a member whom the directory does not know": (members(("p0",)), "PersonNotFound"),
    "a member of a team that was made again": (
        msgspec.structs.replace(members(("d1",)), uid="u8"),
        "DynamicPersonGroupNotFound",
    ),
    "a member of a group with persons of its own": (
        ChangeMembers(**heading(PEOPLE), uid="u3", add=("d0",)),
        "BadArgument",
    ),
    "a team with a recognition model": (
        add_collection(
            msgspec.structs.replace(collection("u9", "two", kind="dynamicpersongroup"), recognition=Recognition(MODEL))
        ),
        "BadArgument",
    ),
    "a list without one": (
        add_collection(msgspec.structs.replace(collection("u9", "two", kind="facelist"), recognition=None)),
        "BadArgument",
    ),
    "training a list that needs none": (TrainCollection(**heading(LIST), target=3), "BadArgument"),
    "training what is not there": (
        TrainCollection(**heading("persongroup/none"), target=3),
        "PersonGroupNotFound",
    ),
    "words under another key": (
        UpdateCollection(**heading(LIST), uid="u0", name=sealed("key-of-u1")),
        "BadArgument",
    ),
    "a person's words under another key": (
        UpdatePerson(**heading(PEOPLE), person_id="p0", name=sealed("key-of-d0")),
        "BadArgument",
    ),
    "a face's words under another key": (
        UpdateFace(**heading(LIST), persisted_face_id="l0", user_data=sealed("key-of-u0")),
        "BadArgument",
    ),
}


@pytest.mark.parametrize(("command", "code"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_changes_nothing(command: AnyCommand, code: str) -> None:
    caused = step(furnished(), command)
    assert (caused.outcome.outcome, caused.outcome.code) == ("failed", code)
    assert (caused.changes, caused.destroyed) == ([], [])


def test_new_words_take_the_place_of_old_ones_and_the_rest_stays() -> None:
    state = furnished()
    new = Sealed("key-of-u0", b"other", b"words")
    step(state, UpdateCollection(**heading(LIST), uid="u0", user_data=new))
    changed = state.live.collections["u0"]
    assert (changed.name, changed.user_data) == (sealed("key-of-u0"), new)
    step(state, UpdatePerson(**heading(PEOPLE), person_id="p0", name=sealed("key-of-p0")))
    assert state.live.persons["p0"].name == sealed("key-of-p0")
    step(state, UpdateFace(**heading(LIST), persisted_face_id="l0", user_data=sealed("key-of-l0")))
    assert state.live.templates["u0/l0"].user_data == sealed("key-of-l0")


def test_a_team_is_renamed_and_changed_at_once() -> None:
    state = furnished()
    caused = step(state, members(("d1",), name=Sealed("key-of-u2", b"other", b"words")))
    assert caused.changes == [(COLLECTIONS, "u2", True), (MEMBERSHIPS, "u2/d1", True)]
    assert state.live.members_of("u2") == ["d0", "d1"]


def test_a_training_is_noted_and_finished_once() -> None:
    state = furnished()
    step(state, TrainCollection(**heading(PEOPLE), target=7))
    first = state.live.collections["u3"].training
    assert first is not None
    assert (first.target, first.finished, first.succeeded_before) == (7, None, None)
    assert step(state, FinishTraining(**heading(PEOPLE), uid="u3", target=6)).changes == []
    step(state, FinishTraining(**heading(PEOPLE), uid="u3", target=7))
    done = state.live.collections["u3"].training
    assert done is not None
    assert done.finished == NOON
    assert step(state, FinishTraining(**heading(PEOPLE), uid="u3", target=7)).changes == []
    step(state, TrainCollection(**heading(PEOPLE), target=9))
    again = state.live.collections["u3"].training
    assert again is not None
    assert (again.target, again.finished, again.succeeded_before) == (9, None, NOON)
    outdated = step(state, FinishTraining(**heading(PEOPLE), uid="u8", target=9))
    assert outdated.outcome.code == "PersonGroupNotFound"


def test_there_are_at_most_64_face_lists() -> None:
    state = STAGE.begin()
    made = [add_collection(collection(f"u{number}", f"l{number}", kind="facelist")) for number in range(64)]
    assert all(each.outcome == "succeeded" for each in step(state, *made).outcomes)
    assert step(state, add_collection(collection("u64", "one-more", kind="facelist"))).outcome.code == "QuotaExceeded"
    assert step(state, add_collection(collection("u65", "large", kind="largefacelist"))).outcome.code == ""
    step(state, delete_collection("facelist/l0"))
    assert step(state, add_collection(collection("u66", "again", kind="facelist"))).outcome.code == ""


def test_a_collection_that_is_made_again_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(collections.COLLECTIONS_OF, "facelist", 1)
    state = STAGE.begin()
    for number in range(3):
        made = add_collection(collection(f"u{number}", "wanted", kind="facelist"))
        assert step(state, made).outcome.code == ""
        assert step(state, delete_collection(LIST)).outcome.code == ""


def test_a_face_list_has_a_limit_of_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(faces.FACES_IN, "facelist", 2)
    state = furnished()
    assert step(state, add_face(listed("l1"))).outcome.code == ""
    assert step(state, add_face(listed("l2"))).outcome.code == "QuotaExceeded"
    large = add_face(listed("l2", uid="u1"), LARGE_LIST)
    assert step(state, large).outcome.code == ""


def test_248_faces_are_counted_for_each_recognition_model_in_the_directory() -> None:
    state = furnished()
    many = [add_face(portrait(f"m{number}"), DIRECTORY) for number in range(faces.FACES_PER_PERSON - 1)]
    assert all(each.outcome == "succeeded" for each in step(state, *many).outcomes)
    assert step(state, add_face(portrait("more"), DIRECTORY)).outcome.code == "QuotaExceeded"
    assert step(state, add_face(portrait("more", name="recognition_02"), DIRECTORY)).outcome.code == ""


def test_a_collection_made_again_shows_nothing_of_the_old_one() -> None:
    state = furnished()
    step(state, delete_collection(LIST), delete_collection(PEOPLE), delete_collection(TEAM))
    step(
        state,
        add_collection(collection("u10", "wanted", kind="facelist")),
        add_collection(collection("u13", "staff", kind="persongroup")),
        add_collection(collection("u12", "team", kind="dynamicpersongroup")),
    )
    live = state.live
    assert (live.faces_of("u10"), live.persons_of("u13"), live.members_of("u12")) == ([], [], [])
    assert (live.faces_of("u0"), live.persons_of("u3"), live.members_of("u2")) == ([], [], [])
    assert [each.person_id for each in live.persons_of(DIRECTORY)] == ["d0", "d1"]
