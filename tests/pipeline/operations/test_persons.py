"""Persons: enrolled with sealed names and templates, found by name, forgotten with their key."""

import asyncio

import numpy as np
import pytest

from pipeline import codec
from pipeline.operations import Refused, Unanswered, collections, enrolled, persons
from pipeline.operations.photos import Portrait
from pipeline.records import Box, Recognition, Template
from pipeline.topology import TEMPLATES

from .conftest import World, make_world

SCOPE = "largepersongroup/people"
RETAIL = Recognition("retail")


def portrait_of(seed: int) -> Portrait:
    vector = np.random.default_rng(seed).standard_normal(8)
    return Portrait(Box(1, 2, 90, 90), 0.75, (vector / np.linalg.norm(vector)).astype(np.float32))


async def gallery(world: World) -> World:
    await collections.add(world.client, SCOPE, recognition=RETAIL, name="people", request_id="collection")
    return world


async def enrol(world: World, name: str, *seeds: int, request: str = "r1") -> str:
    portraits = [portrait_of(seed) for seed in seeds]
    return await persons.add(world.client, SCOPE, name, portraits, recognition=RETAIL, request_id=request)


def opened(world: World, template: Template) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    key = f"{template.person_id}/{template.persisted_face_id}"
    return np.frombuffer(codec.unseal(world.keys, template.vector, topic=TEMPLATES, key=key, field="vector"), "<f4")


async def test_enrolled_person_has_a_name_and_a_template_per_portrait(world: World) -> None:
    await gallery(world)
    person_id = await enrol(world, "Ada Lovelace", 1, 2)
    (listed,) = persons.listed(world.client, SCOPE)
    assert (listed.person.person_id, listed.name, len(listed.faces)) == (person_id, "Ada Lovelace", 2)
    vectors = [opened(world, each) for each in world.tables.live.templates.values()]
    np.testing.assert_array_equal(vectors, [portrait_of(1).template, portrait_of(2).template])


async def test_neither_name_nor_template_is_written_in_the_clear(world: World) -> None:
    await gallery(world)
    await enrol(world, "Ada Lovelace", 1)
    written = b"".join(codec.encode(each.topic, each.change).value or b"" for each in world.control.written)
    sent = b"".join(codec.encode(TEMPLATES, change).value or b"" for _, _, change in world.control.sent)
    for secret in (b"Ada Lovelace", portrait_of(1).template.tobytes()):
        assert secret not in written + sent


async def test_everything_of_a_person_is_sealed_with_the_persons_own_key(world: World) -> None:
    await gallery(world)
    await enrol(world, "Ada", 1, request="r1")
    await enrol(world, "Grace", 2, request="r2")
    kids = {each.person.kid: each for each in persons.listed(world.client, SCOPE)}
    assert len(kids) == 2
    for template in world.tables.live.templates.values():
        assert kids[template.vector.kid].person.person_id == template.person_id


async def test_retry_is_the_same_person(world: World) -> None:
    await gallery(world)
    first = await enrol(world, "Ada", 1)
    assert await enrol(world, "Ada", 1) == first
    assert len(persons.listed(world.client, SCOPE)) == 1


async def test_refused_person_leaves_no_key(world: World) -> None:
    await gallery(world)
    with pytest.raises(Refused, match="at most 248 faces"):
        await enrol(world, "Ada", *range(249))
    assert list(world.keys.alive.values()) == ["collection"]


async def test_unanswered_person_keeps_the_key_for_the_answer_to_come() -> None:
    world = await gallery(make_world(timeout=0.02))
    world.control.down = True
    with pytest.raises(Unanswered):
        await enrol(world, "Ada", 1)
    assert sorted(world.keys.alive.values()) == ["collection", "person"]


@pytest.mark.parametrize("name", ["", "   ", "x" * 129])
async def test_name_that_is_none_is_refused(world: World, name: str) -> None:
    await gallery(world)
    with pytest.raises(Refused, match="a name of"):
        await enrol(world, name, 1)


async def test_absent_collection_and_foreign_model_are_refused(world: World) -> None:
    with pytest.raises(Refused, match="there is no collection"):
        await enrol(world, "Ada", 1)
    await gallery(world)
    with pytest.raises(Refused, match="the model retail"):
        await persons.add(
            world.client, SCOPE, "Ada", [portrait_of(1)], recognition=Recognition("dlib"), request_id="r2"
        )


async def test_face_is_added_and_deleted(world: World) -> None:
    await gallery(world)
    person_id = await enrol(world, "Ada", 1)
    face = await enrolled.add(world.client, SCOPE, person_id, portrait_of(2), recognition=RETAIL, request_id="r2")
    assert face in persons.found(world.client, SCOPE, "Ada").faces
    await enrolled.delete(world.client, SCOPE, person_id, face, request_id="r3")
    assert len(persons.found(world.client, SCOPE, "Ada").faces) == 1


async def test_face_of_nobody_is_refused(world: World) -> None:
    await gallery(world)
    with pytest.raises(Refused, match="has no person nobody"):
        await enrolled.add(world.client, SCOPE, "nobody", portrait_of(2), recognition=RETAIL, request_id="r2")


async def test_person_is_found_by_name_and_by_id_unless_two_share_the_name(world: World) -> None:
    await gallery(world)
    first = await enrol(world, "Ada", 1, request="r1")
    assert persons.found(world.client, SCOPE, "Ada").person.person_id == first
    second = await enrol(world, "Ada", 2, request="r2")
    assert persons.found(world.client, SCOPE, second).person.person_id == second
    with pytest.raises(Refused, match=f"2 persons .*{first}.*{second}"):
        persons.found(world.client, SCOPE, "Ada")
    with pytest.raises(Refused, match="no person 'Grace'"):
        persons.found(world.client, SCOPE, "Grace")


async def test_a_person_is_found_by_name_and_deleted(world: World) -> None:
    await gallery(world)
    await enrol(world, "Ada Lovelace", 1)
    assert (await persons.delete_found(world.client, SCOPE, "Ada Lovelace", request_id="r2")).forgotten == 2
    with pytest.raises(Refused, match="no person 'Ada Lovelace'"):
        await persons.delete_found(world.client, SCOPE, "Ada Lovelace", request_id="r3")


async def test_that_nobody_is_there_is_told_once_nobody_is_being_forgotten(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, done = asyncio.Event(), asyncio.Event()

    async def effective() -> None:
        waiting.set()
        await done.wait()

    await gallery(world)
    monkeypatch.setattr(world.client.asker, "effective", effective)
    deleting = asyncio.create_task(persons.delete_found(world.client, SCOPE, "Ada", request_id="r2"))
    await waiting.wait()
    assert not deleting.done()
    done.set()
    with pytest.raises(Refused, match="no person 'Ada'"):
        await deleting


async def test_deleted_person_is_gone_with_key_and_templates(world: World) -> None:
    await gallery(world)
    person_id = await enrol(world, "Ada", 1, 2)
    assert (await persons.delete(world.client, SCOPE, person_id, request_id="r2")).forgotten == 3
    assert persons.listed(world.client, SCOPE) == []
    assert world.tables.live.templates == {}
    assert list(world.keys.alive.values()) == ["collection"]
