"""Find Similar: among faceIds or in a list, by person or merely by face; whatever the index has not yet is found."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.galleries import Candidate, Searched
from pipeline.operations import Refused, enrolled, similarity
from pipeline.operations.similarity import Mode, Similar

from .conftest import World
from .laboratory import DLIB, Lab, laboratory, likeness

LISTS = ("facelist/l", "largefacelist/l")


@pytest.fixture
def lab(world: World) -> Lab:
    return laboratory(world)


async def among(
    lab: Lab, face_id: str, face_ids: list[str], mode: Mode = "matchPerson", most: int = 20
) -> list[Similar]:
    return await similarity.among_faces(lab.recogniser, face_id, face_ids, mode=mode, most=most)


async def inside(lab: Lab, face_id: str, scope: str, mode: Mode = "matchPerson", most: int = 20) -> list[Similar]:
    return await similarity.in_list(lab.world.client, lab.recogniser, face_id, scope, mode=mode, most=most)


def ids(found: list[Similar]) -> list[str]:
    confidences = [each.confidence for each in found]
    assert confidences == sorted(confidences, reverse=True)
    return [each.face_id for each in found]


async def furnished(lab: Lab, scope: str, *people: int) -> list[str]:
    await lab.collection(scope)
    faces = [await lab.listed(scope, likeness(who, 1)) for who in people]
    if scope.startswith("large"):
        await lab.trained(scope)
    return faces


async def test_match_person_leaves_out_strangers_and_match_face_does_not(lab: Lab) -> None:
    probe = await lab.face(likeness(1))
    twin, sister, *strangers = [await lab.face(likeness(who, view)) for who, view in ((1, 1), (1, 2), (2, 1), (3, 1))]
    everybody = [*strangers, twin, sister]
    assert set(ids(await among(lab, probe, everybody))) == {twin, sister}
    ranked = ids(await among(lab, probe, everybody, "matchFace"))
    assert (set(ranked[:2]), set(ranked)) == ({twin, sister}, set(everybody))
    assert ids(await among(lab, probe, everybody, "matchFace", 3)) == ranked[:3]
    assert ids(await among(lab, probe, [twin, twin])) == [twin]
    assert ids(await among(lab, probe, strangers)) == []


async def test_a_thousand_faces_are_taken_and_no_more(lab: Lab) -> None:
    probe = await lab.face(likeness(1))
    many = [await lab.face(likeness(1, number)) for number in range(1000)]
    assert len(ids(await among(lab, probe, many, "matchFace", 1000))) == 1000
    for wrong in ([], [*many, probe]):
        with pytest.raises(Refused, match=f"{len(wrong)} faceIds to look among: give 1 to 1000"):
            await among(lab, probe, wrong)


@pytest.mark.parametrize("scope", LISTS)
async def test_a_list_is_searched_in_both_modes(lab: Lab, scope: str) -> None:
    faces = await furnished(lab, scope, 1, 2, 3)
    probe = await lab.face(likeness(2))
    assert ids(await inside(lab, probe, scope)) == [faces[1]]
    ranked = ids(await inside(lab, probe, scope, "matchFace"))
    assert (ranked[0], set(ranked)) == (faces[1], set(faces))
    assert ids(await inside(lab, probe, scope, "matchFace", 2)) == ranked[:2]
    assert ids(await inside(lab, await lab.face(likeness(9)), scope)) == []


@pytest.mark.parametrize("scope", LISTS)
async def test_what_was_deleted_is_not_found(lab: Lab, scope: str) -> None:
    faces = await furnished(lab, scope, 1, 2)
    probe = await lab.face(likeness(1))
    client = lab.world.client
    await enrolled.delete(client, scope, None, faces[0], request_id="d")
    await client.catch_up()
    assert ids(await inside(lab, probe, scope, "matchFace")) == [faces[1]]


class Behind:
    """A gallery that has not everything yet, and still has what is gone."""

    engine, most = "behind", 1000

    def __init__(self, *answers: Candidate) -> None:
        self.answers = list(answers)
        self.limits: list[int] = []

    def search(
        self, where: Searched, probes: NDArray[np.float32], limit: int, among: Collection[str] | None = None
    ) -> list[list[Candidate]]:
        self.limits.append(limit)
        return [self.answers[:limit] for _ in probes]


async def test_a_face_list_needs_no_training_so_what_the_index_has_not_is_opened(lab: Lab) -> None:
    faces = await furnished(lab, LISTS[0], 1, 2, 3)
    templates = {each.persisted_face_id: each for each in lab.world.tables.live.templates.values()}
    known = Candidate(faces[1], None, templates[faces[1]].vector.kid, 0.123)
    behind = Behind(Candidate("gone", None, "kid", 0.99), known)
    lab.recogniser = replace(lab.recogniser, gallery=behind)
    probe = await lab.face(likeness(1))
    lab.opened.clear()
    found = ids(await inside(lab, probe, LISTS[0], "matchFace"))
    assert (found[0], set(found)) == (faces[0], set(faces))
    assert (sorted(lab.opened), behind.limits) == (sorted({faces[0], faces[2]}), [3])


async def test_a_large_list_is_as_its_index_says(lab: Lab) -> None:
    await furnished(lab, LISTS[1], 1)
    lab.recogniser = replace(lab.recogniser, gallery=Behind())
    assert ids(await inside(lab, await lab.face(likeness(1)), LISTS[1], "matchFace")) == []


async def test_an_empty_list_is_not_ready_and_an_untrained_one_not_trained(lab: Lab) -> None:
    probe = await lab.face(likeness(1))
    for scope, code in zip(LISTS, ("FaceListNotReady", "LargeFaceListNotTrained"), strict=True):
        await lab.collection(scope)
        with pytest.raises(Refused) as refusal:
            await inside(lab, probe, scope)
        assert refusal.value.code == code
    lab.indexed.position = 0
    await lab.listed(LISTS[1], likeness(1))
    await lab.trained(LISTS[1])
    with pytest.raises(Refused) as refusal:
        await inside(lab, probe, LISTS[1])
    assert refusal.value.code == "LargeFaceListTrainingNotFinished"


async def test_refusals(lab: Lab) -> None:
    await furnished(lab, LISTS[0], 1)
    probe, strange = await lab.face(likeness(1)), await lab.face(likeness(1, 0, DLIB), DLIB)
    for call, code in (
        (inside(lab, "gone", LISTS[0]), "FaceNotFound"),
        (inside(lab, probe, "facelist/absent"), "FaceListNotFound"),
        (inside(lab, strange, LISTS[0]), "BadArgument"),
        (inside(lab, probe, LISTS[0], most=0), "BadArgument"),
        (inside(lab, probe, LISTS[0], most=1001), "BadArgument"),
        (among(lab, probe, ["gone"]), "FaceNotFound"),
        (among(lab, probe, [strange]), "BadArgument"),
        (among(lab, probe, [probe], most=1001), "BadArgument"),
    ):
        with pytest.raises(Refused) as refusal:
            await call
        assert refusal.value.code == code
