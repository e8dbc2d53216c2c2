"""Enrolled faces of persons and of face lists, DynamicPersonGroups, new words, and what was deleted meanwhile."""

from datetime import timedelta

import msgspec
import pytest

from pipeline import codec
from pipeline.identifiers import template_key
from pipeline.operations import Forgotten, Refused, collections, directory, enrolled, persons, words
from pipeline.records import DIRECTORY, Recognition
from pipeline.topology import TEMPLATES

from .conftest import NOW, World
from .test_persons import RETAIL, SCOPE, portrait_of

LIST, TEAM = "facelist/wanted", "dynamicpersongroup/team"
OTHER = Recognition("retail", "recognition_01")


async def face_list(world: World) -> str:
    return await collections.add(
        world.client, LIST, recognition=RETAIL, name="Wanted", user_data="since May", request_id="list"
    )


async def add(world: World, request: str, user_data: str | None = None) -> str:
    return await enrolled.add(
        world.client, LIST, None, portrait_of(1), recognition=RETAIL, user_data=user_data, request_id=request
    )


async def test_listed_face_has_a_key_of_its_own_that_goes_with_it(world: World) -> None:
    await face_list(world)
    first, second = await add(world, "r1", "north door"), await add(world, "r2")
    shown = enrolled.shown(world.client, LIST, None, first)
    assert (shown.user_data, shown.template.person_id, shown.template.recognition) == ("north door", None, RETAIL)
    assert sorted(world.keys.alive.values()) == ["collection", "face", "face"]
    assert [each.template.persisted_face_id for each in enrolled.listed(world.client, LIST, None)] == [first, second]
    assert enrolled.listed(world.client, LIST, None, start=first, top=5)[0].template.persisted_face_id == second
    await enrolled.delete(world.client, LIST, None, first, request_id="r3")
    assert sorted(world.keys.alive.values()) == ["collection", "face"]
    with pytest.raises(Refused, match="has no face") as refusal:
        enrolled.shown(world.client, LIST, None, first)
    assert refusal.value.code == "PersistedFaceNotFound"


async def test_repeated_request_adds_one_face_and_leaves_no_key_behind(world: World) -> None:
    await face_list(world)
    assert await add(world, "r1") == await add(world, "r1")
    assert sorted(world.keys.alive.values()) == ["collection", "face"]


async def test_a_try_that_was_overtaken_gives_the_first_answer_and_destroys_its_own_key(world: World) -> None:
    """Another replica's try of the same request was carried out after this one had looked for its outcome."""
    await face_list(world)
    first = await add(world, "r1")
    heading = world.client.heading(LIST, "r1")
    kid = world.keys.new("face")
    command = msgspec.structs.replace(world.control.sent[-1][2].value, **heading)
    assert await world.client.ask_with_key(command, kid, "another id") == first
    assert kid not in world.keys.alive


async def test_words_of_a_face_are_replaced_and_sealed(world: World) -> None:
    await face_list(world)
    face = await add(world, "r1", "north door")
    await enrolled.update(world.client, LIST, None, face, user_data="south door", request_id="r2")
    shown = enrolled.shown(world.client, LIST, None, face)
    assert shown.user_data == "south door"
    key = template_key(shown.template.collection, face)
    assert codec.unseal(world.keys, shown.template.vector, topic=TEMPLATES, key=key, field="vector")
    written = b"".join(codec.encode(each.topic, each.change).value or b"" for each in world.control.written)
    assert b"door" not in written
    with pytest.raises(Refused, match="'userData' of 1025 characters"):
        await enrolled.update(world.client, LIST, None, face, user_data="x" * 1025, request_id="r3")


async def test_face_of_another_recognition_model_is_refused(world: World) -> None:
    await face_list(world)
    with pytest.raises(Refused, match="retail as recognition_04"):
        await enrolled.add(world.client, LIST, None, portrait_of(1), recognition=OTHER, request_id="r1")


async def test_directory_takes_faces_of_every_recognition_model_and_lists_them_apart(world: World) -> None:
    person_id = await persons.add(world.client, DIRECTORY, "Ada", user_data="desk 7", request_id="r1")
    for number, model in enumerate((RETAIL, OTHER)):
        await enrolled.add(
            world.client, DIRECTORY, person_id, portrait_of(number), recognition=model, request_id=f"f{number}"
        )
    assert len(persons.shown(world.client, DIRECTORY, person_id).faces) == 2
    (one,) = enrolled.listed(world.client, DIRECTORY, person_id, model="recognition_01")
    assert one.template.recognition == OTHER
    assert persons.shown(world.client, DIRECTORY, person_id).user_data == "desk 7"


async def test_members_join_and_leave_and_a_team_takes_nobody_along(world: World) -> None:
    ada, grace = [
        await persons.add(world.client, DIRECTORY, name, request_id=name) for name in ("Ada Lovelace", "Grace Hopper")
    ]
    await collections.add(world.client, TEAM, recognition=None, name="Team", members=(ada,), request_id="team")
    assert directory.members(world.client, TEAM) == [ada]
    await directory.change(world.client, TEAM, add=(grace,), remove=(ada,), name="The team", request_id="change")
    assert directory.members(world.client, TEAM) == [grace]
    assert collections.shown(world.client, TEAM).name == "The team"
    assert directory.references(world.client, grace) == ["team"]
    assert directory.references(world.client, grace, start="team") == []
    await collections.delete(world.client, TEAM, request_id="delete")
    assert directory.references(world.client, grace) == []
    assert len(persons.listed(world.client, DIRECTORY)) == 2
    await collections.add(world.client, TEAM, recognition=None, name="Team", request_id="again")
    with pytest.raises(Refused, match="both empty"):
        await directory.change(world.client, TEAM, request_id="nothing")


async def test_new_words_of_a_person_and_of_a_collection(world: World) -> None:
    await collections.add(world.client, SCOPE, recognition=RETAIL, name="people", request_id="r1")
    person_id = await persons.add(world.client, SCOPE, "Ada", consent="form 12", request_id="r2")
    await persons.update(world.client, SCOPE, person_id, user_data="desk 7", request_id="r3")
    shown = persons.shown(world.client, SCOPE, person_id)
    assert (shown.name, shown.user_data, shown.consent) == ("Ada", "desk 7", "form 12")
    await collections.update(world.client, SCOPE, name="Everybody", request_id="r4")
    assert collections.shown(world.client, SCOPE).name == "Everybody"
    for nothing in (
        persons.update(world.client, SCOPE, person_id, request_id="r5"),
        collections.update(world.client, SCOPE, name="", user_data="", request_id="r6"),
    ):
        with pytest.raises(Refused, match="both empty"):
            await nothing
    with pytest.raises(Refused, match="'userData' of 16385 characters"):
        await collections.update(world.client, SCOPE, user_data="x" * (words.USER_DATA + 1), request_id="r7")


async def test_what_was_deleted_a_moment_ago_is_refused_as_deleted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key goes first, the tombstone comes later: between the two the view still shows the person."""
    await collections.add(world.client, SCOPE, recognition=RETAIL, name="people", request_id="r1")
    person_id = await persons.add(world.client, SCOPE, "Ada", request_id="r2")

    def destroyed(kid: str, plaintext: bytes, associated: bytes) -> tuple[bytes, bytes]:
        raise Forgotten

    monkeypatch.setattr(world.keys, "seal", destroyed)
    for attempt, code in (
        (persons.update(world.client, SCOPE, person_id, name="Grace", request_id="r3"), "PersonNotFound"),
        (
            enrolled.add(world.client, SCOPE, person_id, portrait_of(1), recognition=RETAIL, request_id="r4"),
            "PersonNotFound",
        ),
        (collections.update(world.client, SCOPE, name="x", request_id="r5"), "LargePersonGroupNotFound"),
    ):
        with pytest.raises(Refused, match="was deleted") as refusal:
            await attempt
        assert refusal.value.code == code


async def test_outcome_of_an_operation_is_known_for_48_hours(world: World) -> None:
    await persons.add(world.client, DIRECTORY, "Ada", request_id="r1")
    operation_id = world.client.operation_id("r1")
    told = directory.operation(world.client, operation_id)
    assert (told.outcome, told.finished) == ("succeeded", NOW)
    later = msgspec.structs.replace(told, finished=NOW - timedelta(hours=48))
    world.client.asker._outcomes[operation_id] = later
    for nothing in (operation_id, "nothing"):
        with pytest.raises(Refused) as refusal:
            directory.operation(world.client, nothing)
        assert refusal.value.code == "OperationNotFound"
