"""An access request is answered with everything that is held about the person, and with nothing about anybody else."""

import json

import msgspec
import pytest

from pipeline.operations import Refused, access, collections, enrolled, persons
from pipeline.records import DIRECTORY, Identification
from tests.pipeline.examples import NOON, seconds

from .conftest import NOW, World
from .test_persons import RETAIL, SCOPE, portrait_of


def told(track: str, person_id: str | None) -> Identification:
    return Identification(
        track_id=track,
        revision=0,
        camera="door",
        face_id=f"face of {track}",
        face_expires=NOON + seconds(600),
        captured_at=NOON,
        identified_at=NOON,
        expires=NOON + seconds(86_400),
        decision="unknown" if person_id is None else "identified",
        model="retail",
        engine="milvus",
        threshold=0.45,
        person_id=person_id,
        similarity=0.7,
    )


async def test_everything_of_the_person_and_of_nobody_else(world: World) -> None:
    await collections.add(world.client, SCOPE, recognition=RETAIL, name="people", request_id="c")
    ada = await persons.add(
        world.client,
        SCOPE,
        "Ada Lovelace",
        [portrait_of(1)],
        recognition=RETAIL,
        user_data="desk 7",
        consent="form 12",
        request_id="a",
    )
    grace = await persons.add(world.client, SCOPE, "Grace", [portrait_of(2)], recognition=RETAIL, request_id="g")
    held = access.held(world.client, SCOPE, ada, [told("t0", ada), told("t1", grace), told("t2", None)])
    answer = json.loads(access.as_json(held))
    assert (answer["name"], answer["userData"], answer["consent"]) == ("Ada Lovelace", "desk 7", "form 12")
    assert (answer["gallery"], answer["person"]["since"]) == (SCOPE, NOW.isoformat().replace("+00:00", "Z"))
    (template,) = answer["templates"]
    assert template["key"] == f"{ada}/{template['persistedFaceId']}"
    assert (template["modelPack"], template["recognitionModel"]) == ("retail", "recognition_04")
    (passage,) = answer["identifications"]
    assert (passage["key"], passage["camera"], passage["similarity"]) == ("t0", "door", 0.7)
    assert passage["until"].startswith("2026-01-02T12:00:00")
    assert answer["images"].startswith("none")
    assert grace not in access.as_json(held)


async def test_groups_of_somebody_in_the_directory_are_told(world: World) -> None:
    ada = await persons.add(world.client, DIRECTORY, "Ada", request_id="a")
    await collections.add(
        world.client, "dynamicpersongroup/team", recognition=None, name="Team", members=(ada,), request_id="t"
    )
    await enrolled.add(world.client, DIRECTORY, ada, portrait_of(1), recognition=RETAIL, request_id="f")
    held = access.held(world.client, DIRECTORY, ada, [])
    assert (held.gallery, len(held.templates), len(held.groups)) == ("directory", 1, 1)
    assert msgspec.json.decode(access.as_json(held))["groups"][0]["topic"] == "memberships"


async def test_nobody_has_no_export(world: World) -> None:
    await collections.add(world.client, SCOPE, recognition=RETAIL, name="people", request_id="c")
    with pytest.raises(Refused, match="has no person"):
        access.held(world.client, SCOPE, "nobody", [])
