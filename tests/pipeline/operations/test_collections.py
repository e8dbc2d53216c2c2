"""Collections: made, listed by name, forgotten with everybody in them."""

import pytest

from pipeline.operations import Refused, collections, persons
from pipeline.records import Recognition

from .conftest import World
from .test_persons import portrait_of

SCOPE = "largepersongroup/people"
RETAIL = Recognition("retail")


@pytest.mark.parametrize(
    ("text", "scope"),
    [("people", SCOPE), (SCOPE, SCOPE), ("persongroup/a-b_1", "persongroup/a-b_1")],
)
def test_scope_of_what_a_caller_writes(text: str, scope: str) -> None:
    assert collections.scope_of(text) == scope


@pytest.mark.parametrize("text", ["", "facelists/x", "People", "a b", "x" * 65, "largepersongroup/", "a/b/c"])
def test_what_names_no_collection_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        collections.scope_of(text)


async def test_added_collection_is_listed_by_its_name(world: World) -> None:
    uid = await collections.add(world.client, SCOPE, recognition=RETAIL, name="The staff", request_id="r1")
    (listed,) = collections.listed(world.client)
    assert (listed.collection.uid, listed.name, listed.persons) == (uid, "The staff", 0)
    assert b"The staff" not in listed.collection.name.ciphertext


async def test_taken_scope_is_refused_and_leaves_no_key(world: World) -> None:
    await collections.add(world.client, SCOPE, recognition=RETAIL, name="one", request_id="r1")
    with pytest.raises(Refused, match="exists already"):
        await collections.add(world.client, SCOPE, recognition=RETAIL, name="two", request_id="r2")
    assert len(world.keys.alive) == 1


async def test_retry_is_the_same_collection(world: World) -> None:
    first = await collections.add(world.client, SCOPE, recognition=RETAIL, name="one", request_id="r1")
    assert await collections.add(world.client, SCOPE, recognition=RETAIL, name="one", request_id="r1") == first
    assert len(world.keys.alive) == 1


async def test_ensure_makes_it_once_and_keeps_to_its_model(world: World) -> None:
    made = await collections.ensure(world.client, SCOPE, recognition=RETAIL, request_id="r1")
    assert (await collections.ensure(world.client, SCOPE, recognition=RETAIL, request_id="r2")).uid == made.uid
    with pytest.raises(Refused, match="holds templates of the model retail"):
        await collections.ensure(world.client, SCOPE, recognition=Recognition("dlib"), request_id="r3")


async def test_deleted_collection_takes_everybody_and_every_key_along(world: World) -> None:
    await collections.add(world.client, SCOPE, recognition=RETAIL, name="one", request_id="r1")
    await persons.add(world.client, SCOPE, "Ada", [portrait_of(1)], recognition=RETAIL, request_id="r2")
    assert (await collections.delete(world.client, SCOPE, request_id="r3")).forgotten == 3
    assert collections.listed(world.client) == []
    assert world.keys.alive == {}


async def test_deleting_what_is_not_there_is_refused(world: World) -> None:
    with pytest.raises(Refused, match="there is no collection"):
        await collections.delete(world.client, SCOPE, request_id="r1")
