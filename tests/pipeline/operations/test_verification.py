"""Verify: face to face, and face to a person as soon as the person's face was added."""

from dataclasses import replace

import pytest

from pipeline.operations import Refused, enrolled, verification
from pipeline.operations.verification import Verdict
from pipeline.records import DIRECTORY, Recognition
from pipeline.wiring.comparison import PackComparison

from .conftest import World
from .laboratory import CATALOGUE, DLIB, OLDER, RETAIL, Lab, laboratory, likeness, portrait

GROUPS = ("persongroup/g", "largepersongroup/g")


@pytest.fixture
def lab(world: World) -> Lab:
    return laboratory(world)


async def of_person(lab: Lab, face_id: str, scope: str, person_id: str) -> Verdict:
    return await verification.person(lab.world.client, lab.recogniser, face_id, scope, person_id)


async def test_two_views_of_one_person_are_identical_and_two_persons_are_not(lab: Lab) -> None:
    one, same, other = [await lab.face(each) for each in (likeness(1), likeness(1, 1), likeness(2))]
    alike = await verification.faces(lab.recogniser, one, same)
    assert alike.identical
    assert 0.5 <= alike.confidence < 1
    strange = await verification.faces(lab.recogniser, one, other)
    assert not strange.identical
    assert strange.confidence < 0.5
    assert await verification.faces(lab.recogniser, same, one) == alike


async def test_one_photo_twice_is_certain(lab: Lab) -> None:
    one, again = [await lab.face(likeness(1)) for _ in range(2)]
    assert (await verification.faces(lab.recogniser, one, again)).confidence == pytest.approx(1, abs=1e-5)


async def test_identical_begins_at_the_threshold_of_the_operator(lab: Lab) -> None:
    strict = replace(lab.recogniser, comparison=PackComparison.of(CATALOGUE, {"retail": 0.95}))
    one, same = await lab.face(likeness(1)), await lab.face(likeness(1, 1))
    assert (await verification.faces(lab.recogniser, one, same)).identical
    assert not (await verification.faces(strict, one, same)).identical


@pytest.mark.parametrize("other", [DLIB, OLDER])
async def test_faces_of_different_models_never_meet(lab: Lab, other: Recognition) -> None:
    one, strange = await lab.face(likeness(1)), await lab.face(likeness(1, 0, other), other)
    with pytest.raises(Refused, match=r"^'recognitionModel' is incompatible\.$") as refusal:
        await verification.faces(lab.recogniser, one, strange)
    assert refusal.value.code == "BadArgument"


async def test_an_expired_face_was_never_there(lab: Lab) -> None:
    one, short = await lab.face(likeness(1)), await lab.face(likeness(1), seconds=60)
    lab.later(60)
    with pytest.raises(Refused) as refusal:
        await verification.faces(lab.recogniser, one, short)
    assert refusal.value.code == "FaceNotFound"


@pytest.mark.parametrize("scope", [*GROUPS, DIRECTORY])
async def test_a_person_is_as_alike_as_the_best_of_the_templates(lab: Lab, scope: str) -> None:
    if scope != DIRECTORY:
        await lab.collection(scope)
    person = await lab.person(scope, likeness(2), likeness(1, 3), likeness(1, 1))
    probe = await lab.face(likeness(1))
    best = await verification.faces(lab.recogniser, probe, await lab.face(likeness(1, 1)))
    rest = await verification.faces(lab.recogniser, probe, await lab.face(likeness(1, 3)))
    verdict = await of_person(lab, probe, scope, person)
    assert verdict.confidence == pytest.approx(max(best.confidence, rest.confidence), abs=1e-6)
    assert verdict.identical


async def test_no_training_is_needed_and_no_index(lab: Lab) -> None:
    await lab.collection("persongroup/g")
    person = await lab.person("persongroup/g")
    probe = await lab.face(likeness(1))
    with pytest.raises(Refused, match="has no face of recognition_04") as refusal:
        await of_person(lab, probe, "persongroup/g", person)
    assert refusal.value.code == "PersistedFaceNotFound"
    await enrolled.add(
        lab.world.client, "persongroup/g", person, portrait(likeness(1, 1)), recognition=RETAIL, request_id="r"
    )
    assert (await of_person(lab, probe, "persongroup/g", person)).identical


async def test_in_the_directory_only_the_templates_of_the_face_s_model_count(lab: Lab) -> None:
    person = await lab.person(DIRECTORY, likeness(1, 0, OLDER), recognition=OLDER)
    probe = await lab.face(likeness(1))
    with pytest.raises(Refused) as refusal:
        await of_person(lab, probe, DIRECTORY, person)
    assert refusal.value.code == "PersistedFaceNotFound"
    assert (await of_person(lab, await lab.face(likeness(1), OLDER), DIRECTORY, person)).identical


async def test_a_face_of_another_model_than_the_group_s_is_refused(lab: Lab) -> None:
    await lab.collection("persongroup/g", DLIB)
    person = await lab.person("persongroup/g")
    with pytest.raises(Refused, match=r"'recognitionModel' is incompatible\."):
        await of_person(lab, await lab.face(likeness(1)), "persongroup/g", person)


async def test_a_deleted_person_is_gone_at_once(lab: Lab) -> None:
    await lab.collection("persongroup/g")
    person = await lab.person("persongroup/g", likeness(1))
    probe = await lab.face(likeness(1))
    await lab.forget("persongroup/g", person)
    with pytest.raises(Refused) as refusal:
        await of_person(lab, probe, "persongroup/g", person)
    assert refusal.value.code == "PersonNotFound"


async def test_who_belongs_elsewhere_is_not_found_here(lab: Lab) -> None:
    for scope in GROUPS:
        await lab.collection(scope)
    person = await lab.person(GROUPS[0], likeness(1))
    probe = await lab.face(likeness(1))
    for scope, code in ((GROUPS[1], "PersonNotFound"), (DIRECTORY, "PersonNotFound")):
        with pytest.raises(Refused) as refusal:
            await of_person(lab, probe, scope, person)
        assert refusal.value.code == code
    with pytest.raises(Refused) as refusal:
        await of_person(lab, probe, "persongroup/absent", person)
    assert refusal.value.code == "PersonGroupNotFound"
