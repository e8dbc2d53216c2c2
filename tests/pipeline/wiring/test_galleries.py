"""One suite for both galleries: what is searched, how exact, how fresh; the exact one's threads, Milvus's bounds."""

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from connectors.keystore import KeyStore
from connectors.milvus import Milvus, VectorRefused
from models.catalogue import load_catalogue
from pipeline.changes import Change, Put, Tombstone
from pipeline.codec import seal
from pipeline.galleries import Candidate, Gallery, GalleryAbsentError, ScopeTooLargeError, Searched
from pipeline.identifiers import template_key, template_owner
from pipeline.records import DIRECTORY, GalleryKind, Template
from pipeline.settings import Identify, Settings
from pipeline.stages import identify as stages
from pipeline.stages.enrol import Enrol
from pipeline.topology import TEMPLATES
from pipeline.views import LiveSet
from pipeline.wiring import comparison, stage
from pipeline.wiring.galleries import Templates, gallery
from pipeline.wiring.galleries import exact as exact_module
from pipeline.wiring.galleries.contents import MilvusContents
from pipeline.wiring.galleries.exact import ROWS, ExactGallery
from pipeline.wiring.galleries.generations import Generations
from pipeline.wiring.galleries.index import MilvusIndex
from pipeline.wiring.galleries.milvus import AMONG_MOST, MilvusGallery, place
from pipeline.wiring.galleries.rotation import Rotations
from pipeline.wiring.stages import Parts
from tests.pipeline.examples import NOON, received, template

CATALOGUE = load_catalogue()
PACKS = ("retail", "dlib")  # cosine and l2
Vectors = NDArray[np.float32]


def drawn(count: int, pack: str, seed: int = 0) -> Vectors:
    vectors = np.random.default_rng(seed).standard_normal((count, CATALOGUE.pack(pack).dimension))
    scaled: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def alike(pack: str, probe: Vectors, vector: Vectors) -> float:
    """By the definition, in double precision."""
    one, other = probe.astype(np.float64), vector.astype(np.float64)
    return float(one @ other) if CATALOGUE.pack(pack).metric == "cosine" else 1.0 - float(np.linalg.norm(one - other))


@dataclass
class Stand:
    """A gallery as its readers have it, and the way in which templates reach it."""

    gallery: Gallery
    write: Callable[[Sequence[Change[Template]]], None]
    vectors: dict[str, Vectors] = field(default_factory=dict)
    kept: dict[str, Template] = field(default_factory=dict)

    def put(self, shown: Template, vector: Vectors) -> None:
        self.put_all([(shown, vector)])

    def put_all(self, shown: Sequence[tuple[Template, Vectors]]) -> None:
        changes = list[Change[Template]]()
        for each, vector in shown:
            key = template_key(template_owner(each), each.persisted_face_id)
            self.vectors[each.persisted_face_id] = vector
            self.kept[key] = each
            changes.append(Put(key, each))
        self.write(changes)

    def forget(self, *keys: str) -> None:
        for key in keys:
            self.kept.pop(key, None)
        self.write([Tombstone(key) for key in keys])

    def check(self, where: Searched, probes: Vectors, limit: int, among: frozenset[str] | None = None) -> None:
        """Every answer is what arithmetic says of what is kept there; equals may stand in any order."""
        kept = {
            each.persisted_face_id: each
            for each in self.kept.values()
            if (each.collection, each.recognition.pack) == (where.uid, where.pack)
            and (among is None or each.person_id in among)
        }
        for probe, found in zip(probes, self.gallery.search(where, probes, limit, among), strict=True):
            exact = {face: alike(where.pack, probe, self.vectors[face]) for face in kept}
            best = sorted(exact.values(), reverse=True)[:limit]
            np.testing.assert_allclose([each.similarity for each in found], best, atol=1e-3)
            assert len({each.persisted_face_id for each in found}) == len(found)
            for each in found:
                whose = kept[each.persisted_face_id]
                assert (each.person_id, each.kid) == (whose.person_id, whose.vector.kid)
                assert each.similarity == pytest.approx(exact[each.persisted_face_id], abs=1e-3)


def exact_stand() -> Stand:
    vectors: dict[str, Vectors] = {}
    live = LiveSet()
    followed = ExactGallery.following(live, lambda shown: vectors.get(shown.persisted_face_id), CATALOGUE)

    def write(changes: Sequence[Change[Template]]) -> None:
        for change in changes:
            live.apply_change(TEMPLATES, change)

    return Stand(followed, write, vectors)


def milvus_stand(store: Milvus, rotations: Rotations) -> Stand:
    vectors: dict[str, Vectors] = {}
    stage = Enrol(MilvusIndex(store, CATALOGUE, rotations), lambda shown: vectors.get(shown.persisted_face_id))

    def write(changes: Sequence[Change[Template]]) -> None:
        stage.step(None, stage.prepare([received(TEMPLATES, change, n) for n, change in enumerate(changes)]), NOON)

    return Stand(MilvusGallery(store, rotations), write, vectors)


@pytest.fixture
def rotations(tmp_path: Path) -> Iterator[Rotations]:
    with closing(KeyStore.create(tmp_path / "keys")) as keys:
        yield Rotations(keys)


@pytest.fixture(params=["exact", pytest.param("milvus", marks=pytest.mark.milvus)])
def stand(request: pytest.FixtureRequest) -> Iterator[Stand]:
    if request.param == "exact":
        yield exact_stand()
        return
    store = Milvus(request.getfixturevalue("milvus"))
    yield milvus_stand(store, request.getfixturevalue("rotations"))
    for names in Generations(store).all().values():
        for name in names:
            store.drop(name)
    store.close()


def fresh(kind: GalleryKind = "persongroup", pack: str = "retail") -> Searched:
    return Searched(kind, DIRECTORY if kind == DIRECTORY else str(uuid.uuid4()), pack)


def shown(where: Searched, face: str, person: str | None = "p0") -> Template:
    return template(face, person, uid=where.uid, kind=where.kind, model=where.pack, kid=f"key-of-{person or face}")


def filled(stand: Stand, where: Searched, count: int, *, persons: int = 7, seed: int = 0) -> Vectors:
    vectors = drawn(count, where.pack, seed)
    stand.put_all(
        [
            (shown(where, f"{where.uid}-{n}", None if where.kind.endswith("facelist") else f"p{n % persons}"), vector)
            for n, vector in enumerate(vectors)
        ]
    )
    return vectors


KINDS: tuple[GalleryKind, ...] = ("facelist", "largefacelist", "persongroup", "largepersongroup", DIRECTORY)


@pytest.mark.parametrize("pack", PACKS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_nearest_are_those_of_arithmetic(stand: Stand, kind: GalleryKind, pack: str) -> None:
    where = fresh(kind, pack)
    filled(stand, where, 120)
    for limit in (1, 5, 500):
        stand.check(where, drawn(9, pack, seed=1), limit)


WORDS = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 3), st.booleans()), min_size=1, max_size=12)
OWNERS = dict(zip("abcdef", ("p0", "p0", "p1", "p1", "p2", "p3"), strict=True))


@pytest.mark.parametrize("pack", PACKS)
@given(WORDS, st.integers(1, 8), st.sets(st.sampled_from(("p0", "p1", "p9"))))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_right_after_every_change_the_answer_is_that_of_arithmetic(
    stand: Stand, pack: str, words: list[tuple[str, int, bool]], limit: int, among: set[str]
) -> None:
    where = fresh(pack=pack)
    vectors, probes = drawn(4, pack), drawn(2, pack, seed=5)
    for letter, number, lives in words:
        face, person = f"{where.uid}-{letter}", OWNERS[letter]
        if lives:
            stand.put(shown(where, face, person), vectors[number])
        else:
            stand.forget(f"{person}/{face}")
        stand.check(where, probes, limit)
    stand.check(where, probes, limit, frozenset(among))


def test_a_search_stays_inside_its_gallery_and_its_pack(stand: Stand) -> None:
    here, there, larger = fresh(), fresh(), fresh("largepersongroup")
    for where in (here, there, larger, fresh("facelist")):
        filled(stand, where, 20)
    for pack in PACKS:
        filled(stand, fresh(DIRECTORY, pack), 20, seed=3)
        stand.check(fresh(DIRECTORY, pack), drawn(3, pack, seed=4), 100)
    for where in (here, there, larger):
        stand.check(where, drawn(3, "retail", seed=4), 100)


def test_one_batch_may_hold_templates_of_every_gallery_and_pack(stand: Stand) -> None:
    places = [fresh(kind, pack) for kind in KINDS for pack in PACKS]
    stand.put_all(
        [
            (shown(where, f"{where.kind}-{where.pack}-{n}", None if "facelist" in where.kind else f"p{n}"), vector)
            for where in places
            for n, vector in enumerate(drawn(3, where.pack))
        ]
    )
    for where in places:
        stand.check(where, drawn(1, where.pack, seed=1), 10)


def test_a_gallery_without_templates_answers_with_nobody(stand: Stand) -> None:
    for where in (fresh(), fresh("largefacelist"), fresh(DIRECTORY, "opencv")):
        assert stand.gallery.search(where, drawn(2, where.pack), 5) == [[], []]
    assert stand.gallery.search(fresh(), drawn(2, "retail"), 5, frozenset()) == [[], []]


def test_a_mask_admits_its_persons_alone(stand: Stand) -> None:
    where = fresh(DIRECTORY)
    filled(stand, where, 60, persons=20)
    for among in (frozenset({"p3"}), frozenset({"p0", "p19", "stranger"}), frozenset(f"p{n}" for n in range(20))):
        stand.check(where, drawn(4, "retail", seed=2), 10, among)


def test_a_mask_of_thousands_is_exact(stand: Stand) -> None:
    where = fresh(DIRECTORY)
    filled(stand, where, 40, persons=40)
    crowd = frozenset(f"stranger-{n}" for n in range(11_000)) | {"p7", "p31"}
    stand.check(where, drawn(2, "retail", seed=2), 5, crowd)


def test_a_face_list_names_nobody(stand: Stand) -> None:
    where = fresh("facelist")
    (vector,) = filled(stand, where, 1)
    ((found,),) = stand.gallery.search(where, vector[None], 1)
    assert found == Candidate(f"{where.uid}-0", None, f"key-of-{where.uid}-0", found.similarity)
    stand.forget(f"{where.uid}/{where.uid}-0")
    assert stand.gallery.search(where, vector[None], 1) == [[]]


def test_a_template_that_no_longer_opens_is_nobodys(stand: Stand) -> None:
    where = fresh()
    filled(stand, where, 3)
    stand.write([Put("p0/closed", shown(where, "closed"))])
    stand.check(where, drawn(1, "retail"), 10)


def test_a_whole_gallery_is_forgotten_at_once(stand: Stand) -> None:
    where, other = fresh("largepersongroup"), fresh()
    filled(stand, where, 700, persons=700)
    filled(stand, other, 5)
    stand.forget(*(key for key, each in stand.kept.items() if each.collection == where.uid))
    stand.check(where, drawn(1, "retail"), 10)
    stand.check(other, drawn(1, "retail"), 10)


def test_a_probe_that_no_model_made_is_refused(stand: Stand) -> None:
    where = fresh()
    filled(stand, where, 2)
    for bad in (drawn(1, "retail") * np.float32(2), np.full((1, 256), np.nan, np.float32)):
        with pytest.raises(VectorRefused):
            stand.gallery.search(where, bad, 1)


# --- the exact one ---------------------------------------------------------------------------------------------------


def test_it_begins_with_what_the_live_set_shows_already() -> None:
    live, where = LiveSet(), fresh()
    vectors = drawn(3, "retail")
    for n in range(3):
        live.apply_change(TEMPLATES, Put(f"p0/e{n}", shown(where, f"e{n}")))
    opened = {f"e{n}": vector for n, vector in enumerate(vectors)}
    late = ExactGallery.following(live, lambda each: opened[each.persisted_face_id], CATALOGUE)
    live.apply_change(TEMPLATES, Tombstone("p0/e1"))
    (found,) = late.search(where, vectors[:1], 5)
    assert {each.persisted_face_id for each in found} == {"e0", "e2"}


def test_it_opens_a_template_once_and_only_when_somebody_searches_there() -> None:
    asked: list[str] = []
    vectors, where, other = drawn(4, "retail"), fresh(), fresh()

    def opened(each: Template) -> Vectors:
        asked.append(each.persisted_face_id)
        first: Vectors = vectors[0]
        return first

    exact = ExactGallery(opened, lambda pack: CATALOGUE.pack(pack).metric)
    exact.apply(Put("p0/e0", shown(where, "e0")))
    exact.apply(Put("p0/e1", shown(other, "e1")))
    assert asked == []
    for _ in range(3):
        exact.search(where, vectors[:1], 1)
    assert asked == ["e0"]


def test_what_is_forgotten_leaves_memory() -> None:
    stand, where = exact_stand(), fresh()
    filled(stand, where, 3 * ROWS)
    stand.check(where, drawn(1, "retail"), 3)
    stand.forget(*list(stand.kept))
    assert isinstance(stand.gallery, ExactGallery)
    assert stand.gallery._shelves == {}


def blocks_of(gallery: Gallery) -> list[Vectors]:
    assert isinstance(gallery, ExactGallery)
    return [page.vectors for shelf in gallery._shelves.values() for page in shelf.blocks]


def rows_like(block: Vectors, vector: Vectors) -> list[int]:
    return [row for row in range(len(block)) if np.array_equal(block[row], vector)]


def test_a_forgotten_row_is_zeroed_in_place_before_anybody_else_is_told() -> None:
    live, where, vectors = LiveSet(), fresh(), drawn(5, "retail")
    opened = {f"e{n}": vector for n, vector in enumerate(vectors)}
    exact = ExactGallery.following(live, lambda each: opened[each.persisted_face_id], CATALOGUE)
    for n in range(5):
        live.apply_change(TEMPLATES, Put(f"p{n}/e{n}", shown(where, f"e{n}", f"p{n}")))
    exact.search(where, vectors, 5)
    (held,) = blocks_of(exact)
    row, seen = rows_like(held, vectors[2]), list[bool]()
    live.hear_templates(lambda _: seen.append(bool(held[row].any())))
    live.apply_change(TEMPLATES, Tombstone("p2/e2"))
    assert (len(row), seen) == (1, [False])
    assert [len(rows_like(held, vector)) for vector in vectors] == [1, 1, 0, 1, 1]
    # An update is a new template under the same key.
    opened["e3"] = drawn(1, "retail", seed=8)[0]
    live.apply_change(TEMPLATES, Put("p3/e3", shown(where, "e3", "p3")))
    assert not rows_like(held, vectors[3])


def test_no_matrix_is_left_behind_when_a_gallery_grows_or_shrinks() -> None:
    stand, where = exact_stand(), fresh()
    vectors = filled(stand, where, 3)
    stand.check(where, drawn(1, where.pack), 3)
    held = blocks_of(stand.gallery)
    filled(stand, where, 2 * ROWS + 7, seed=1)
    stand.check(where, drawn(1, where.pack), 3)
    after = blocks_of(stand.gallery)
    assert [before is now for before, now in zip(held, after, strict=False)] == [True]
    assert len(after) == 3
    stand.forget(*list(stand.kept))
    assert not any(block.any() for block in after)
    # What is put where others were is found, in the room that is there.
    filled(stand, where, 20, seed=2)
    stand.check(where, drawn(3, where.pack), 5)
    assert len(vectors) == 3


def test_a_row_gets_no_other_template_while_a_search_looks_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    stand, where = exact_stand(), fresh()
    one, other, third = drawn(3, "retail")
    stand.put(shown(where, "x", "p0"), one)
    stand.check(where, one[None], 1)
    stand.put(shown(where, "w", "p3"), third)
    stand.check(where, one[None], 1)
    compare, first, go_on = comparison.similarities, threading.Event(), threading.Event()

    def slow(*given: Any) -> Vectors:
        if not first.is_set():
            first.set()
            assert go_on.wait(10)
        compared: Vectors = compare(*given)
        return compared

    monkeypatch.setattr(exact_module, "similarities", slow)
    found: list[list[Candidate]] = []
    looker = threading.Thread(target=lambda: found.extend(stand.gallery.search(where, other[None], 2)))
    looker.start()
    assert first.wait(10)
    stand.forget("p0/x")
    stand.put(shown(where, "y", "p1"), other)
    stand.check(where, other[None], 1)
    go_on.set()
    looker.join()
    # Whoever began before knows "x" and "w" alone, and of the former nothing any more.
    assert {each.persisted_face_id: each.similarity for each in found[0]}["x"] == 0.0
    (block,) = blocks_of(stand.gallery)
    assert [rows_like(block, vector) for vector in (one, third, other)] == [[], [1], [2]]
    stand.put(shown(where, "z", "p2"), one)
    stand.check(where, one[None], 3)
    assert rows_like(block, one) == [0]


def test_a_template_that_never_opened_is_forgotten_like_any_other() -> None:
    stand, where = exact_stand(), fresh()
    stand.write([Put("p0/closed", shown(where, "closed"))])
    filled(stand, where, 1)
    stand.check(where, drawn(1, "retail"), 3)
    stand.forget(*list(stand.kept))
    stand.forget("p0/closed")
    stand.check(where, drawn(1, "retail"), 3)


def test_searches_in_threads_see_whole_states_while_the_view_goes_on() -> None:
    """A pair of templates is put and forgotten in turn; a search sees neither half opened nor a mixture of rows."""
    stand, where = exact_stand(), fresh()
    filled(stand, where, 2 * ROWS)
    vectors = drawn(2, "retail", seed=9)
    stand.vectors |= {"x": vectors[0], "y": vectors[1]}
    over, faults = threading.Event(), list[str]()

    def look() -> None:
        while not over.is_set():
            for found, name in zip(stand.gallery.search(where, vectors, 3), "xy", strict=True):
                best = found[0]
                sure = best.similarity > 0.999
                if sure != (best.persisted_face_id == name) or len({each.persisted_face_id for each in found}) != 3:
                    faults.append(f"{best}")

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for each in lookers:
        each.start()
    for _ in range(300):
        stand.write([Put(f"p0/{name}", shown(where, name)) for name in "xy"])
        stand.write([Tombstone(f"p0/{name}") for name in "yx"])
    over.set()
    for each in lookers:
        each.join()
    assert faults == []


# --- Milvus ----------------------------------------------------------------------------------------------------------


def test_more_persons_than_milvus_is_asked_for_are_refused_with_the_cure(rotations: Rotations) -> None:
    crowd = frozenset(map(str, range(AMONG_MOST + 1)))
    asked = MilvusGallery(Milvus("http://127.0.0.1:1"), rotations)
    with pytest.raises(ScopeTooLargeError, match=r"50001 persons .* 50000 at most; .*engine = \"exact\""):
        asked.search(fresh(), drawn(1, "retail"), 1, crowd)


def test_whoever_waits_for_an_answer_is_told_that_milvus_is_away(rotations: Rotations) -> None:
    away = MilvusGallery(Milvus("http://127.0.0.1:1", timeout=0.5), rotations, patience=0.1)
    with pytest.raises(GalleryAbsentError, match=r"127\.0\.0\.1:1 does not answer"):
        away.search(fresh(), drawn(1, "retail"), 1)


def test_where_templates_lie_in_milvus() -> None:
    uid = "0f0e0d0c-0000-4000-8000-000000000000"
    assert [place(Searched(kind, uid, "retail")) for kind in KINDS] == [
        "small_retail",
        "large_0f0e0d0c000040008000000000000000",
        "small_retail",
        "large_0f0e0d0c000040008000000000000000",
        "directory_retail",
    ]


@pytest.mark.milvus
def test_the_index_says_what_it_holds(milvus: str, rotations: Rotations) -> None:
    store = Milvus(milvus)
    index, stand = MilvusContents(store), milvus_stand(store, rotations)
    where, large = fresh(), fresh("largefacelist", "dlib")
    try:
        for each in (where, large):
            filled(stand, each, 4)
        stand.forget(next(iter(stand.kept)))
        for each in (where, large):
            kept = [shown for shown in stand.kept.values() if shown.collection == each.uid]
            assert {index.place_of(shown) for shown in kept} == {place(each)}
            assert place(each) in index.places()
            assert index.ids(place(each)) == {shown.persisted_face_id for shown in kept}
        assert index.ids("small_of_nobody") == set()
    finally:
        for each in (where, large):
            store.drop(f"{place(each)}__1")
        store.close()


@pytest.mark.milvus
def test_a_reader_makes_nothing_and_an_operators_own_collections_are_left_alone(
    milvus: str, rotations: Rotations
) -> None:
    store = Milvus(milvus)
    store.ensure("somebody_elses", 8, "cosine")
    try:
        before = store.names()
        MilvusGallery(store, rotations).search(fresh("largefacelist"), drawn(1, "retail"), 1)
        MilvusIndex(store, CATALOGUE, rotations).delete(["e0"])
        assert store.names() == before
    finally:
        store.drop("somebody_elses")
        store.close()


def test_the_identify_stage_searches_with_the_engine_of_the_settings(tmp_path: Path) -> None:
    live, where = LiveSet(), fresh("largepersongroup")
    keys, (vector,) = KeyStore.create(tmp_path / "keys"), drawn(1, "retail")
    parts = Parts(
        settings=Settings(identify=Identify(engine="exact")),
        keys=keys,
        secret=b"secret",
        catalogue=CATALOGUE,
        models=lambda: pytest.fail("no models are asked"),
        milvus=lambda: pytest.fail("Milvus is not asked"),
        signer=lambda: pytest.fail("nothing is signed"),
        bounds=lambda: pytest.fail("nothing is promised"),
    )
    built = stage("identify", parts, live)
    sealed = seal(keys, keys.new("person"), vector.tobytes(), topic=TEMPLATES, key="p0/e0", field="vector")
    enrolled = msgspec.structs.replace(template("e0", "p0", uid=where.uid, model="retail"), vector=sealed)
    live.apply_change(TEMPLATES, Put("p0/e0", enrolled))
    assert isinstance(built, stages.Identify)
    assert built.gallery.engine == "exact"
    ((found,),) = built.gallery.search(where, vector[None], 1)
    assert (found.persisted_face_id, found.kid) == ("e0", sealed.kid)
    keys.destroy([sealed.kid])
    live.apply_change(TEMPLATES, Put("p0/e0", enrolled))
    assert built.gallery.search(where, vector[None], 1) == [[]]


def test_the_settings_choose_the_engine(tmp_path: Path) -> None:
    templates = Templates(KeyStore.create(tmp_path / "keys"), CATALOGUE)
    exact = gallery("exact", CATALOGUE, templates, LiveSet(), lambda: pytest.fail("Milvus is not asked"))
    assert exact.engine == "exact"
    served = gallery("milvus", CATALOGUE, templates, LiveSet(), lambda: Milvus("http://127.0.0.1:1"))
    assert served.engine == "milvus"
