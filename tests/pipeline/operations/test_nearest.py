"""A search widens until it has as many who live as were wanted, and is what arithmetic says whatever is stale."""

from collections.abc import Collection

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.changes import Put, Tombstone
from pipeline.galleries import Candidate, GalleryAbsentError, ScopeTooLargeError, Searched
from pipeline.operations import Refused, Unanswered, nearest
from pipeline.operations.nearest import Search
from pipeline.records import Recognition
from pipeline.topology import COLLECTIONS, PERSONS, TEMPLATES
from pipeline.views import LiveSet
from tests.pipeline.examples import MODEL, RECOGNITION, collection, person, template

WHERE = Searched("largepersongroup", "u0", MODEL)
PROBE = np.zeros((1, 4), np.float32)


class Prepared:
    """A gallery that proposes what a test says, and keeps the limits it was asked for."""

    engine = "prepared"

    def __init__(self, candidates: list[Candidate], most: int = 10_000) -> None:
        self.candidates = sorted(candidates, key=lambda each: -each.similarity)
        self.most = most
        self.limits: list[tuple[int, int]] = []

    def search(
        self, where: Searched, probes: NDArray[np.float32], limit: int, among: Collection[str] | None = None
    ) -> list[list[Candidate]]:
        assert limit <= self.most
        self.limits.append((len(probes), limit))
        return [self.candidates[:limit] for _ in probes]


async def caught_up() -> None:
    pass


def lives(count: int, faces: int = 1) -> LiveSet:
    """p0, p1, ... in u0, each with the templates e<person>-0, e<person>-1, ..."""
    live = LiveSet()
    live.apply_change(COLLECTIONS, Put("u0", collection()))
    for number in range(count):
        live.apply_change(PERSONS, Put(f"p{number}", person(f"p{number}")))
        for face in range(faces):
            shown = template(f"e{number}-{face}", f"p{number}")
            live.apply_change(TEMPLATES, Put(f"p{number}/e{number}-{face}", shown))
    return live


def proposed(number: int, face: int, similarity: float) -> Candidate:
    return Candidate(f"e{number}-{face}", f"p{number}", f"key-of-p{number}", similarity)


async def best(
    gallery: Prepared, live: LiveSet, wanted: int, least: float = -1.0, recognition: Recognition = RECOGNITION
) -> list[tuple[str, float]]:
    search = Search(gallery, WHERE, caught_up, lambda similarity: similarity >= least)
    (found,) = await search.best(PROBE, wanted, nearest.persons(live, "u0", recognition))
    return [(each.person_id, each.similarity) for each in found]


PROPOSALS = st.lists(
    st.tuples(st.integers(0, 7), st.integers(0, 2), st.floats(-1, 1, width=16)),
    unique_by=lambda each: each[:2],
    max_size=24,
)


@given(PROPOSALS, st.integers(1, 4), st.integers(1, 6), st.floats(-1, 1, width=16))
async def test_the_best_of_those_who_live_are_found_however_many_proposals_are_stale(
    proposals: list[tuple[int, int, float]], alive: int, wanted: int, least: float
) -> None:
    """p0..p<alive - 1> live, with two templates each; whatever else is proposed is stale."""
    found = await best(Prepared([proposed(*each) for each in proposals]), lives(alive, 2), wanted, least)
    scores: dict[str, float] = {}
    for number, face, similarity in proposals:
        if number < alive and face < 2 and similarity >= least:
            scores[f"p{number}"] = max(similarity, scores.get(f"p{number}", -1.0))
    assert dict(found).items() <= scores.items()
    assert [similarity for _, similarity in found] == sorted(scores.values(), reverse=True)[:wanted]


async def test_a_search_that_has_enough_is_not_repeated() -> None:
    gallery = Prepared([proposed(number, 0, 1 - number / 1000) for number in range(500)])
    assert len(await best(gallery, lives(500), 10)) == 10
    assert gallery.limits == [(1, 40)]


async def test_it_widens_past_what_is_stale_and_stops_where_nobody_is_near() -> None:
    gallery = Prepared([proposed(number, 0, 1 - number / 1000) for number in range(500)])
    live = lives(500)
    for number in range(300):
        live.apply_change(PERSONS, Tombstone(f"p{number}"))
    assert [name for name, _ in await best(gallery, live, 2)] == ["p300", "p301"]
    assert gallery.limits == [(1, 8), (1, 32), (1, 128), (1, 512)]
    gallery.limits.clear()
    assert await best(gallery, live, 2, least=0.95) == []
    assert gallery.limits[-1] == (1, 128)


async def test_a_gallery_s_bound_ends_the_search() -> None:
    gallery = Prepared([proposed(number, 0, 1 - number / 1000) for number in range(500)], most=100)
    live = lives(500)
    for number in range(98):
        live.apply_change(PERSONS, Tombstone(f"p{number}"))
    assert [name for name, _ in await best(gallery, live, 50)] == ["p98", "p99"]
    assert gallery.limits == [(1, 100)]


async def test_only_probes_that_want_more_are_asked_about_again() -> None:
    class ByProbe(Prepared):
        """Proposes a stale person ahead of everybody to probes that begin with 1."""

        def search(
            self, where: Searched, probes: NDArray[np.float32], limit: int, among: Collection[str] | None = None
        ) -> list[list[Candidate]]:
            fresh = super().search(where, probes, limit, among)
            stale = [[proposed(9, face, 1.0) for face in range(10)] if probe[0] else [] for probe in probes]
            return [(gone + each)[:limit] for gone, each in zip(stale, fresh, strict=True)]

    gallery = ByProbe([proposed(0, 0, 0.9)] * 50)
    probes = np.array([[0, 0], [1, 0], [0, 0]], np.float32)
    found = await Search(gallery, WHERE, caught_up).best(probes, 1, nearest.persons(lives(1), "u0", RECOGNITION))
    assert ([len(each) for each in found], gallery.limits) == ([1, 1, 1], [(3, 4), (1, 16)])


async def test_templates_of_another_recognition_are_passed_over() -> None:
    gallery = Prepared([proposed(0, 0, 0.9)])
    assert await best(gallery, lives(1), 1, recognition=Recognition(MODEL, "recognition_03")) == []


async def test_a_deletion_that_becomes_known_during_the_search_is_obeyed() -> None:
    live, gallery = lives(2), Prepared([proposed(0, 0, 0.9), proposed(1, 0, 0.8)])

    async def hear() -> None:
        live.apply_change(PERSONS, Tombstone("p0"))

    search = Search(gallery, WHERE, hear)
    (found,) = await search.best(PROBE, 5, nearest.persons(live, "u0", RECOGNITION))
    assert [each.person_id for each in found] == ["p1"]


async def test_a_scope_too_large_is_refused_with_the_cure() -> None:
    class Full(Prepared):
        def search(self, *_: object, **__: object) -> list[list[Candidate]]:
            raise ScopeTooLargeError("too many: set the other engine")

    with pytest.raises(Refused, match="too many: set the other engine") as refusal:
        await best(Full([]), lives(1), 1)
    assert refusal.value.code == "BadArgument"


async def test_an_engine_that_is_away_is_told_apart_from_a_refusal() -> None:
    class Away(Prepared):
        def search(self, *_: object, **__: object) -> list[list[Candidate]]:
            raise GalleryAbsentError("Milvus at http://there does not answer")

    with pytest.raises(Unanswered, match="Milvus at http://there does not answer: nobody can be searched for"):
        await best(Away([]), lives(1), 1)


async def test_of_a_face_list_what_lives_is_left_in_order() -> None:
    live = LiveSet()
    live.apply_change(COLLECTIONS, Put("l0", collection("l0", "faces", kind="facelist")))
    for face in ("a", "c"):
        live.apply_change(
            TEMPLATES, Put(f"l0/{face}", template(face, None, uid="l0", kind="facelist", kid=f"k-{face}"))
        )
    candidates = [Candidate(face, None, f"k-{face}", 0.9) for face in "abc"]
    judge = nearest.faces(live, "l0")
    assert [each.persisted_face_id for each in judge(candidates)] == ["a", "c"]
    assert judge([Candidate("a", None, "another key", 0.9)]) == []
