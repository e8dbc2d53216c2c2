"""The live set decides who may be named: nothing that is gone, and nothing that does not belong together."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.changes import Change, Put, Tombstone
from pipeline.records import DIRECTORY, Membership
from pipeline.topology import COLLECTIONS, FACES, MEMBERSHIPS, PERSONS, TEMPLATES, Topic
from pipeline.views import LiveSet
from tests.pipeline.examples import NOON, collection, face, person, received, template

SCOPE = "largepersongroup/people"


def enrolled() -> LiveSet:
    """One collection u0 with one person p0 and its template e0."""
    live = LiveSet()
    live.apply(received(COLLECTIONS, Put("u0", collection())))
    live.apply(received(PERSONS, Put("p0", person())))
    live.apply(received(TEMPLATES, Put("p0/e0", template())))
    return live


def may_name(live: LiveSet, **other: str) -> bool:
    match = {"collection": "u0", "person": "p0", "persisted_face_id": "e0", "kid": "key-of-p0"}
    return live.may_name(**(match | other))


def test_a_match_of_what_lives_may_be_named() -> None:
    assert may_name(enrolled())


@pytest.mark.parametrize("wrong", ["collection", "person", "persisted_face_id", "kid"])
def test_one_wrong_ingredient_is_enough(wrong: str) -> None:
    assert not may_name(enrolled(), **{wrong: "another"})


@pytest.mark.parametrize(
    ("topic", "key"),
    [(COLLECTIONS, "u0"), (PERSONS, "p0"), (TEMPLATES, "p0/e0")],
    ids=lambda each: each.name if isinstance(each, Topic) else "",
)
def test_one_tombstone_is_enough(topic: Topic, key: str) -> None:
    live = enrolled()
    live.apply(received(topic, Tombstone(key)))
    assert not may_name(live)


@pytest.mark.parametrize(
    ("topic", "change"),
    [
        (PERSONS, Put("p0", person(kid="another"))),
        (PERSONS, Put("p0", person(uid="u1"))),
        (TEMPLATES, Put("p0/e0", template(kid="another"))),
    ],
    ids=["the person has another key", "the person is in another collection", "the template has another key"],
)
def test_what_has_changed_since_the_gallery_was_told_is_not_named(topic: Topic, change: Change[Any]) -> None:
    live = enrolled()
    live.apply(received(COLLECTIONS, Put("u1", collection("u1", "guests"))))
    live.apply(received(topic, change))
    assert not may_name(live)


def test_a_template_of_somebody_else_does_not_count() -> None:
    live = enrolled()
    live.apply(received(PERSONS, Put("p1", person("p1"))))
    assert not may_name(live, person="p1", kid="key-of-p1")


def test_a_collection_is_found_by_the_name_of_its_caller() -> None:
    live = enrolled()
    assert live.collection_of(SCOPE) == collection()
    assert live.collection_of("persongroup/people") is None
    live.apply(received(COLLECTIONS, Tombstone("u0")))
    assert live.collection_of(SCOPE) is None


def test_a_collection_that_is_made_again_under_its_old_name_is_another_one() -> None:
    live = enrolled()
    live.apply(received(COLLECTIONS, Tombstone("u0")))
    live.apply(received(COLLECTIONS, Put("u9", collection("u9"))))
    again = live.collection_of(SCOPE)
    assert again is not None
    assert (again.uid, live.persons_of("u9"), live.count_of("u9")) == ("u9", [], 0)
    assert not may_name(live, collection="u9")


def test_a_repeated_tombstone_of_the_old_collection_leaves_the_new_one_alone() -> None:
    live = enrolled()
    live.apply(received(COLLECTIONS, Tombstone("u0")))
    live.apply(received(COLLECTIONS, Put("u9", collection("u9"))))
    live.apply(received(COLLECTIONS, Tombstone("u0")))
    assert live.collection_of(SCOPE) == collection("u9")


def test_a_collection_keeps_its_name_when_it_is_put_again() -> None:
    live = enrolled()
    live.apply(received(COLLECTIONS, Put("u0", collection(given="guests"))))
    assert live.collection_of(SCOPE) is None
    assert live.collection_of("largepersongroup/guests") is not None


def test_persons_come_in_the_order_of_their_ids_and_page_by_page() -> None:
    live = enrolled()
    for number in (3, 1, 2):
        live.apply(received(PERSONS, Put(f"p{number}", person(f"p{number}"))))
    assert [each.person_id for each in live.persons_of("u0")] == ["p0", "p1", "p2", "p3"]
    assert [each.person_id for each in live.persons_of("u0", start="p1", top=1)] == ["p2"]
    assert live.persons_of("u0", start="p3") == []
    assert live.count_of("u0") == 4


def test_collections_of_a_kind_are_listed_by_their_ids() -> None:
    live = enrolled()
    live.apply(received(COLLECTIONS, Put("u1", collection("u1", "guests"))))
    live.apply(received(COLLECTIONS, Put("u2", collection("u2", "wanted", kind="facelist"))))
    assert [each.id for each in live.collections_of("largepersongroup")] == ["guests", "people"]
    assert [each.id for each in live.collections_of("largepersongroup", start="guests")] == ["people"]
    assert [each.id for each in live.collections_of("facelist", top=1)] == ["wanted"]
    assert live.collections_of("dynamicpersongroup") == []


def test_faces_belong_to_their_person_or_to_their_list() -> None:
    live = enrolled()
    live.apply(received(COLLECTIONS, Put("u1", collection("u1", "wanted", kind="facelist"))))
    for name in ("l2", "l1"):
        listed = template(name, None, uid="u1", kid=f"key-of-{name}", kind="facelist")
        live.apply(received(TEMPLATES, Put(f"u1/{name}", listed)))
    assert (live.faces_of("p0"), live.faces_of("u1"), live.face_count_of("u1")) == (["e0"], ["l1", "l2"], 2)
    assert live.faces_of("u1", start="l1") == ["l2"]
    assert [each.persisted_face_id for each in live.templates_of("p0")] == ["e0"]
    assert live.may_show(collection="u1", persisted_face_id="l1", kid="key-of-l1")
    assert not live.may_show(collection="u1", persisted_face_id="l1", kid="key-of-l2")
    live.apply(received(TEMPLATES, Tombstone("u1/l1")))
    assert not live.may_show(collection="u1", persisted_face_id="l1", kid="key-of-l1")
    live.apply(received(COLLECTIONS, Tombstone("u1")))
    assert not live.may_show(collection="u1", persisted_face_id="l2", kid="key-of-l2")


def test_members_of_a_dynamic_group_come_and_go() -> None:
    live = enrolled()
    for uid, name in (("u8", "team"), ("u7", "board")):
        live.apply(received(COLLECTIONS, Put(uid, collection(uid, name, kind="dynamicpersongroup"))))
        live.apply(received(MEMBERSHIPS, Put(f"{uid}/p0", Membership(collection=uid, person_id="p0", added=NOON))))
    assert (live.members_of("u8"), live.is_member("u8", "p0"), live.is_member("u8", "p1")) == (["p0"], True, False)
    assert [each.id for each in live.groups_of("p0")] == ["board", "team"]
    live.apply(received(MEMBERSHIPS, Tombstone("u8/p0")))
    assert (live.members_of("u8"), [each.id for each in live.groups_of("p0")]) == ([], ["board"])
    live.apply(received(COLLECTIONS, Tombstone("u7")))
    assert live.groups_of("p0") == []


def test_somebody_of_the_directory_needs_no_collection() -> None:
    live = LiveSet()
    live.apply(received(PERSONS, Put("p0", person(uid=DIRECTORY))))
    live.apply(received(TEMPLATES, Put("p0/e0", template(uid=DIRECTORY, kind=DIRECTORY))))
    assert may_name(live, collection=DIRECTORY)
    live.apply(received(PERSONS, Tombstone("p0")))
    assert not may_name(live, collection=DIRECTORY)


def test_a_person_who_moves_is_counted_once() -> None:
    live = enrolled()
    live.apply(received(PERSONS, Put("p0", person(uid="u1"))))
    assert (live.persons_of("u0"), live.count_of("u0"), live.count_of("u1")) == ([], 0, 1)


def test_other_topics_are_none_of_its_business() -> None:
    live = enrolled()
    live.apply(received(FACES, Put("p0", face("p0"))))
    live.apply(received(FACES, Tombstone("p0")))
    assert may_name(live)


PERSON_CHANGES = st.lists(
    st.tuples(st.sampled_from(["p0", "p1", "p2"]), st.sampled_from(["u0", "u1", None])), max_size=30
)


@given(PERSON_CHANGES)
def test_members_are_the_persons_of_the_last_word(changes: list[tuple[str, str | None]]) -> None:
    live = LiveSet()
    for person_id, uid in changes:
        change = Tombstone(person_id) if uid is None else Put(person_id, person(person_id, uid=uid))
        live.apply(received(PERSONS, change))
    last = dict(changes)
    for uid in ("u0", "u1"):
        members = {person_id for person_id, its in last.items() if its == uid}
        assert {each.person_id for each in live.persons_of(uid)} == members
        assert live.count_of(uid) == len(members)
