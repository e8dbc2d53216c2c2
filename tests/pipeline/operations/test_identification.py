"""Identify: the surest of a group come first, nobody below the threshold is named, and nobody who was deleted."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.changes import Tombstone
from pipeline.galleries import Candidate, Searched
from pipeline.operations import Refused, collections, directory, identification, verification
from pipeline.operations.identification import AmongPersons, Identified, InGroup, Scope
from pipeline.operations.indexing import Indexing
from pipeline.records import DIRECTORY
from pipeline.topology import PERSONS

from .conftest import World
from .laboratory import DLIB, OLDER, Lab, laboratory, likeness

GROUPS = ("persongroup/g", "largepersongroup/g")
EVERYBODY = AmongPersons(("*",))


@pytest.fixture
def lab(world: World) -> Lab:
    return laboratory(world)


async def asked(
    lab: Lab, face_ids: list[str], scope: Scope, *, most: int = 10, threshold: float | None = None
) -> list[Identified]:
    return await identification.identify(
        lab.world.client, lab.recogniser, face_ids, scope, most=most, threshold=threshold
    )


async def named(lab: Lab, face_id: str, scope: Scope, *, most: int = 10, threshold: float | None = None) -> list[str]:
    (found,) = await asked(lab, [face_id], scope, most=most, threshold=threshold)
    confidences = [each.confidence for each in found.candidates]
    assert confidences == sorted(confidences, reverse=True)
    return [each.person_id for each in found.candidates]


async def code_of(lab: Lab, face_ids: list[str], scope: Scope) -> str:
    with pytest.raises(Refused) as refusal:
        await asked(lab, face_ids, scope)
    return refusal.value.code


async def group(lab: Lab, scope: str, *people: int) -> list[str]:
    """A trained group of these people, each with two templates."""
    await lab.collection(scope)
    persons = [await lab.person(scope, likeness(who, 1), likeness(who, 2)) for who in people]
    await lab.trained(scope)
    return persons


@pytest.mark.parametrize("scope", GROUPS)
async def test_everybody_is_told_by_their_own_face(lab: Lab, scope: str) -> None:
    persons = await group(lab, scope, 1, 2, 3)
    face_ids = [await lab.face(likeness(who)) for who in (3, 1, 4)]
    found = await asked(lab, face_ids, InGroup(scope))
    assert [each.face_id for each in found] == face_ids
    assert [[candidate.person_id for candidate in each.candidates] for each in found] == [
        [persons[2]],
        [persons[0]],
        [],
    ]


async def test_a_candidate_is_as_sure_as_verifying_the_person(lab: Lab) -> None:
    (person,) = await group(lab, GROUPS[0], 1)
    face_id = await lab.face(likeness(1))
    (found,) = await asked(lab, [face_id], InGroup(GROUPS[0]))
    verdict = await verification.person(lab.world.client, lab.recogniser, face_id, GROUPS[0], person)
    assert found.candidates[0].confidence == pytest.approx(verdict.confidence, abs=1e-6)


async def test_a_threshold_of_the_caller_s_goes_before_the_model_s(lab: Lab) -> None:
    persons = await group(lab, GROUPS[0], *range(12))
    face_id = await lab.face(likeness(1))
    assert await named(lab, face_id, InGroup(GROUPS[0])) == [persons[1]]
    assert await named(lab, face_id, InGroup(GROUPS[0]), threshold=1.0) == []
    everybody = await named(lab, face_id, InGroup(GROUPS[0]), threshold=0.0, most=100)
    assert (everybody[0], sorted(everybody)) == (persons[1], sorted(persons))
    assert await named(lab, face_id, InGroup(GROUPS[0]), threshold=0.0, most=3) == everybody[:3]


async def test_a_group_must_have_been_trained(lab: Lab) -> None:
    await lab.collection(GROUPS[1])
    await lab.person(GROUPS[1], likeness(1))
    face_id = await lab.face(likeness(1))
    assert await code_of(lab, [face_id], InGroup(GROUPS[1])) == "LargePersonGroupNotTrained"
    lab.indexed.position = 0
    await lab.trained(GROUPS[1])
    assert await code_of(lab, [face_id], InGroup(GROUPS[1])) == "LargePersonGroupTrainingNotFinished"
    lab.indexed.position = 1 << 40
    assert len(await named(lab, face_id, InGroup(GROUPS[1]))) == 1


@pytest.mark.parametrize("scope", GROUPS)
async def test_who_was_deleted_is_not_named_and_needs_no_training(lab: Lab, scope: str) -> None:
    ada, grace = await group(lab, scope, 1, 2)
    face_id = await lab.face(likeness(1))
    await lab.forget(scope, ada)
    assert await named(lab, face_id, InGroup(scope), threshold=0.0) == [grace]


async def test_a_stale_index_names_nobody_who_is_gone(lab: Lab) -> None:
    """The gallery goes on proposing what the tables have forgotten, as Milvus may; and twenty at once hide the rest."""
    persons = await group(lab, GROUPS[0], *range(25))
    stale = lab.recogniser.gallery.search
    frozen = {
        limit: stale(Searched("persongroup", uid, "retail"), likeness(1)[None], limit)
        for uid in lab.world.tables.live.collections
        for limit in (4, 16, 64)
    }

    class Stale:
        engine, most = "stale", 1000

        def search(
            self, where: Searched, probes: NDArray[np.float32], limit: int, among: Collection[str] | None = None
        ) -> list[list[Candidate]]:
            return frozen[limit]

    lab.recogniser = replace(lab.recogniser, gallery=Stale())
    face_id = await lab.face(likeness(1))
    alive = {persons[20], persons[21]}
    for person in set(persons) - alive:
        await lab.forget(GROUPS[0], person)
    (best,) = await named(lab, face_id, InGroup(GROUPS[0]), threshold=0.0, most=1)
    assert best in alive


async def test_a_deletion_acknowledged_before_the_request_is_obeyed_whatever_the_view_had_seen(lab: Lab) -> None:
    """The tombstone is on its way to this process when the request begins: only catching up shows it."""
    ada, grace = await group(lab, GROUPS[0], 1, 2)
    face_id = await lab.face(likeness(1))
    calls: list[int] = []

    async def catch_up() -> None:
        calls.append(1)
        if len(calls) == 2:
            lab.world.tables.live.apply_change(PERSONS, Tombstone(ada))

    client = replace(lab.world.client, catch_up=catch_up)
    (found,) = await identification.identify(client, lab.recogniser, [face_id], InGroup(GROUPS[0]), threshold=0.0)
    assert [each.person_id for each in found.candidates] == [grace]


# --- the PersonDirectory ---------------------------------------------------------------------------------------------


async def test_the_directory_whole_or_in_part_needs_no_training(lab: Lab) -> None:
    persons = [await lab.person(DIRECTORY, likeness(who, 1)) for who in range(4)]
    face_id = await lab.face(likeness(2))
    assert await named(lab, face_id, EVERYBODY) == [persons[2]]
    assert await named(lab, face_id, AmongPersons((persons[2], persons[3]))) == [persons[2]]
    assert await named(lab, face_id, AmongPersons((persons[0], persons[3]))) == []
    assert set(await named(lab, face_id, AmongPersons((persons[0], persons[3])), threshold=0.0)) == {
        persons[0],
        persons[3],
    }


async def test_few_persons_are_found_though_the_index_knows_nothing_yet(lab: Lab) -> None:
    class Empty:
        engine, most = "empty", 10

        def search(
            self, where: Searched, probes: NDArray[np.float32], limit: int, among: Collection[str] | None = None
        ) -> list[list[Candidate]]:
            return [[] for _ in probes]

    lab.recogniser = replace(lab.recogniser, gallery=Empty())
    person = await lab.person(DIRECTORY, likeness(1, 1))
    face_id = await lab.face(likeness(1))
    assert await named(lab, face_id, AmongPersons((person,))) == [person]
    assert await named(lab, face_id, EVERYBODY) == []


async def test_everybody_is_searched_for_once_the_index_is_behind_what_succeeded(lab: Lab) -> None:
    """The index gets the person while the request waits for it; one who is searched for alone waits for nothing."""
    known: list[Candidate] = []
    asked = 0

    class Late:
        engine, most = "late", 1000

        def search(
            self, where: Searched, probes: NDArray[np.float32], limit: int, among: Collection[str] | None = None
        ) -> list[list[Candidate]]:
            return [known for _ in probes]

    def positions() -> dict[int, int]:
        nonlocal asked
        asked += 1
        if asked < 3:
            return {}
        known.append(Candidate(template.persisted_face_id, person, template.vector.kid, 0.9))
        return {0: 1 << 40}

    person = await lab.person(DIRECTORY, likeness(1, 1))
    (template,) = lab.world.tables.live.templates.values()
    lab.recogniser = replace(lab.recogniser, gallery=Late(), indexing=Indexing(positions))
    face_id = await lab.face(likeness(1))
    assert await named(lab, face_id, AmongPersons((person,))) == [person]
    assert asked == 0
    assert await named(lab, face_id, EVERYBODY) == [person]
    assert asked == 3
    assert await named(lab, face_id, EVERYBODY) == [person]
    assert asked == 3


async def test_an_index_that_stands_still_is_waited_for_no_longer_than_patience(lab: Lab) -> None:
    await lab.person(DIRECTORY, likeness(1, 1))
    behind = Indexing(dict, patience=0.1)
    lab.recogniser = replace(lab.recogniser, indexing=behind)
    assert len(await named(lab, await lab.face(likeness(1)), EVERYBODY)) == 1


async def test_a_template_of_another_recognition_is_none_in_the_directory(lab: Lab) -> None:
    older = await lab.person(DIRECTORY, likeness(1), recognition=OLDER)
    newer = await lab.person(DIRECTORY, likeness(1, 1))
    for scope in (EVERYBODY, AmongPersons((older, newer))):
        assert await named(lab, await lab.face(likeness(1)), scope, threshold=0.0) == [newer]
        assert await named(lab, await lab.face(likeness(1), OLDER), scope, threshold=0.0) == [older]


@pytest.mark.parametrize("size", [3, 40])
async def test_a_dynamic_group_is_the_directory_less_whoever_does_not_belong(lab: Lab, size: int) -> None:
    persons = [await lab.person(DIRECTORY, likeness(who, 1)) for who in range(size + 2)]
    members = persons[:size]
    scope = "dynamicpersongroup/d"
    await lab.collection(scope, None, *members)
    inside, outside = await lab.face(likeness(0)), await lab.face(likeness(size))
    assert await named(lab, inside, InGroup(scope)) == [persons[0]]
    assert await named(lab, outside, InGroup(scope)) == []
    assert set(await named(lab, outside, InGroup(scope), threshold=0.0, most=100)) == set(members)
    client = lab.world.client
    await directory.change(client, scope, add=(persons[size],), remove=(persons[0],), request_id="r")
    await client.catch_up()
    assert await named(lab, outside, InGroup(scope)) == [persons[size]]
    assert await named(lab, inside, InGroup(scope)) == []
    await lab.forget(DIRECTORY, persons[size])
    assert await named(lab, outside, InGroup(scope)) == []
    await collections.delete(client, scope, request_id="d")
    await client.catch_up()
    assert await code_of(lab, [inside], InGroup(scope)) == "DynamicPersonGroupNotFound"
    assert await named(lab, inside, EVERYBODY) == [persons[0]]


async def test_a_dynamic_group_of_nobody_is_nobody(lab: Lab) -> None:
    await lab.person(DIRECTORY, likeness(1))
    await lab.collection("dynamicpersongroup/d", None)
    assert await named(lab, await lab.face(likeness(1)), InGroup("dynamicpersongroup/d"), threshold=0.0) == []


# --- what is refused -------------------------------------------------------------------------------------------------


async def test_what_does_not_exist_is_named(lab: Lab) -> None:
    await group(lab, GROUPS[0], 1)
    inside = await lab.person(GROUPS[0], likeness(3))
    face_id = await lab.face(likeness(1))
    assert await code_of(lab, [face_id, "gone"], InGroup(GROUPS[0])) == "FaceNotFound"
    assert await code_of(lab, [face_id], InGroup("persongroup/absent")) == "PersonGroupNotFound"
    assert await code_of(lab, [face_id], InGroup("dynamicpersongroup/absent")) == "DynamicPersonGroupNotFound"
    assert await code_of(lab, [face_id], AmongPersons(("nobody",))) == "PersonNotFound"
    assert await code_of(lab, [face_id], AmongPersons((inside,))) == "PersonNotFound"


async def test_models_that_differ_are_refused(lab: Lab) -> None:
    await group(lab, GROUPS[0], 1)
    other, own = await lab.face(likeness(1, 0, DLIB), DLIB), await lab.face(likeness(1))
    for face_ids, scope in (([other], InGroup(GROUPS[0])), ([own, other], EVERYBODY)):
        with pytest.raises(Refused, match=r"^'recognitionModel' is incompatible\.$"):
            await asked(lab, face_ids, scope)


@pytest.mark.parametrize(
    ("face_ids", "scope", "most", "threshold", "message"),
    [
        ([], EVERYBODY, 10, None, "0 faceIds to identify: give 1 to 10"),
        (["f"] * 11, EVERYBODY, 10, None, "11 faceIds to identify"),
        (["f"], EVERYBODY, 0, None, "maxNumOfCandidatesReturned of 0: give 1 to 100"),
        (["f"], EVERYBODY, 101, None, "maxNumOfCandidatesReturned of 101"),
        (["f"], EVERYBODY, 10, 1.5, "confidenceThreshold of 1.5: give 0 to 1"),
        (["f"], EVERYBODY, 10, float("nan"), "confidenceThreshold of nan"),
        (["f"], AmongPersons(()), 10, None, "0 personIds: give 1 to 30"),
        (["f"], AmongPersons(tuple(map(str, range(31)))), 10, None, "31 personIds: give 1 to 30"),
    ],
)
async def test_what_is_out_of_range_is_refused(
    lab: Lab, face_ids: list[str], scope: Scope, most: int, threshold: float | None, message: str
) -> None:
    with pytest.raises(Refused, match=message) as refusal:
        await asked(lab, face_ids, scope, most=most, threshold=threshold)
    assert refusal.value.code == "BadArgument"
