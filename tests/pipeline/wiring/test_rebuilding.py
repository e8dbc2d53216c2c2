"""The index made anew in a real Milvus Lite, while enrol writes, persons come and go, and readers search."""

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from connectors import ServiceRefused
from connectors.keystore import KeyStore, wall_clock
from connectors.milvus import Milvus, Row
from connectors.milvus_server import EmbeddedMilvus
from pipeline.changes import Change, Put, Tombstone
from pipeline.galleries import Searched
from pipeline.operations.client import Client
from pipeline.operations.index import compared
from pipeline.operations.rebuilding import GRACE, LOOK, Rebuilt, kept_at_most, rebuild
from pipeline.records import Template
from pipeline.stages.enrol import Enrol
from pipeline.topology import TEMPLATES
from pipeline.wiring.galleries import rebuilding
from pipeline.wiring.galleries.contents import MilvusContents
from pipeline.wiring.galleries.generations import Generations
from pipeline.wiring.galleries.index import MilvusIndex
from pipeline.wiring.galleries.milvus import LOOK_AGAIN, MilvusGallery, place
from pipeline.wiring.galleries.rebuilding import MilvusRebuilding
from pipeline.wiring.galleries.rotation import Rotations
from tests.pipeline.examples import received
from tests.pipeline.operations.conftest import make_world
from tests.pipeline.wiring.test_galleries import CATALOGUE, Vectors, drawn, fresh, shown

pytestmark = [pytest.mark.milvus, pytest.mark.timeout(180)]


@dataclass
class Plant:
    """Tables, an enrol stage that follows them a little later, and the Milvus of both."""

    store: Milvus
    folder: Path
    rotations: Rotations
    client: Client = field(default_factory=lambda: make_world().client)
    vectors: dict[str, Vectors] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.enrol = Enrol(MilvusIndex(self.store, CATALOGUE, self.rotations), self.opened)
        self.gallery = MilvusGallery(self.store, self.rotations)
        self.rebuilding = MilvusRebuilding.of(self.store, self.rotations, wall_clock)

    def opened(self, each: Template) -> Vectors | None:
        return self.vectors.get(each.persisted_face_id)

    def acknowledged(self, changes: Sequence[Change[Template]]) -> None:
        for change in changes:
            self.client.tables.live.apply_change(TEMPLATES, change)

    def indexed(self, changes: Sequence[Change[Template]]) -> None:
        self.enrol.prepare([received(TEMPLATES, change, n) for n, change in enumerate(changes)])

    def enrolled(self, where: Searched, count: int, seed: int = 0) -> list[Change[Template]]:
        """The changes that add so many persons, acknowledged and indexed."""
        changes = list[Change[Template]]()
        for n, vector in enumerate(drawn(count, where.pack, seed)):
            each = shown(where, str(uuid.uuid4()), f"p{seed}-{n}")
            self.vectors[each.persisted_face_id] = vector
            changes.append(Put(f"{each.person_id}/{each.persisted_face_id}", each))
        self.acknowledged(changes)
        self.indexed(changes)
        return changes

    async def rebuilt(self) -> list[Rebuilt]:
        return await rebuild(self.client, self.rebuilding, self.opened, grace=0.2)

    async def same(self) -> bool:
        return all(each.same for each in await compared(self.client, MilvusContents(self.store)))


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[Plant]:
    server = EmbeddedMilvus(tmp_path / "milvus")
    store = Milvus(await server.start())
    with closing(KeyStore.create(tmp_path / "keys")) as keys:
        yield Plant(store, tmp_path / "milvus", Rotations(keys))
    store.close()
    await server.stop()


def generations(plant: Plant) -> Mapping[str, list[str]]:
    return Generations(plant.store).all()


def on_disk(folder: Path, needle: bytes) -> bool:
    return any(needle in each.read_bytes() for each in folder.rglob("*") if each.is_file())


async def test_deleted_vectors_leave_the_files_and_whoever_lives_is_found_as_before(plant: Plant) -> None:
    where, large = fresh(), fresh("largepersongroup", "dlib")
    changes = plant.enrolled(where, 30)
    plant.enrolled(large, 20, seed=1)
    gone, kept = [each.key for each in changes[:10]], changes[10:]
    tombstones: list[Change[Template]] = [Tombstone(key) for key in gone]
    plant.acknowledged(tombstones)
    plant.indexed(tombstones)
    vector = plant.vectors[gone[0].rpartition("/")[2]]
    secret = plant.rotations.turned("small_retail__1", vector[None])[0].tobytes()
    assert on_disk(plant.folder, secret)
    assert await plant.rebuilt() == [Rebuilt(place(large), 20), Rebuilt("small_retail", 20)]
    assert not on_disk(plant.folder, secret)
    assert {there: len(names) for there, names in generations(plant).items()} == {place(large): 1, "small_retail": 1}
    assert generations(plant)["small_retail"] != ["small_retail__1"]
    assert await plant.same()
    for change in kept:
        assert isinstance(change, Put)
        vector = plant.vectors[change.value.persisted_face_id]
        ((found,),) = plant.gallery.search(where, vector[None], 1)
        assert found.persisted_face_id == change.value.persisted_face_id
    later = plant.enrolled(where, 3, seed=2)
    assert await plant.same()
    assert len(later) == 3
    assert len(generations(plant)["small_retail"]) == 1


def turmoil(plant: Plant, where: Searched, over: threading.Event, acknowledge: Callable[..., None]) -> None:
    """Persons come and go for as long as it lasts; enrol hears of each change a little later than the tables."""
    random, late = np.random.default_rng(3), list[Change[Template]]()
    there = list[str]()
    for number in range(10_000):
        if over.is_set():
            break
        each = shown(where, str(uuid.uuid4()), f"q{number}")
        plant.vectors[each.persisted_face_id] = drawn(1, where.pack, seed=1000 + number)[0]
        fresh_ones: list[Change[Template]] = [Put(f"{each.person_id}/{each.persisted_face_id}", each)]
        there.append(fresh_ones[0].key)
        if len(there) > 5:
            fresh_ones.append(Tombstone(there.pop(int(random.integers(len(there))))))
        acknowledge(fresh_ones)
        late += fresh_ones
        if random.random() < 0.5:
            plant.indexed(late)
            late.clear()
    plant.indexed(late)


async def test_nobody_is_missed_while_it_runs_and_nothing_is_left_over(plant: Plant) -> None:
    where = fresh()
    changes = plant.enrolled(where, 200)
    constant = [change.value.persisted_face_id for change in changes if isinstance(change, Put)]
    over, misses, searches = threading.Event(), list[str](), 0
    loop = asyncio.get_running_loop()

    def acknowledge(some: Sequence[Change[Template]]) -> None:
        asyncio.run_coroutine_threadsafe(_applied(plant, some), loop).result()

    def look() -> None:
        nonlocal searches
        while not over.is_set():
            for face in constant[::20]:
                ((found,),) = plant.gallery.search(where, plant.vectors[face][None], 1)
                searches += 1
                if found.persisted_face_id != face:
                    misses.append(face)

    threads = [
        threading.Thread(target=look),
        threading.Thread(target=turmoil, args=(plant, where, over, acknowledge)),
    ]
    for thread in threads:
        thread.start()
    for _ in range(3):
        await plant.rebuilt()
    over.set()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    assert (misses, searches > 20) == ([], True)
    assert len(generations(plant)["small_retail"]) == 1
    assert await plant.same()


async def _applied(plant: Plant, some: Sequence[Change[Template]]) -> None:
    plant.acknowledged(some)


async def test_a_rebuild_that_ended_halfway_changes_nothing_and_the_next_one_clears_up(plant: Plant) -> None:
    where = fresh()
    plant.enrolled(where, 5)
    begun = plant.rebuilding.begin()["small_retail"]
    assert generations(plant)["small_retail"] == ["small_retail__1", begun]
    plant.enrolled(where, 5, seed=1)
    assert len(plant.rebuilding.held(begun)) == 5
    assert await plant.same()
    assert await plant.rebuilt() == [Rebuilt("small_retail", 10)]
    assert len(generations(plant)["small_retail"]) == 1
    assert begun not in generations(plant)["small_retail"]
    assert await plant.same()


async def test_a_second_rebuild_is_refused_while_the_first_is_at_work(plant: Plant) -> None:
    plant.enrolled(fresh(), 5)
    with plant.rebuilding.alone(), pytest.raises(ServiceRefused, match=r"another process is at work \(rebuild\)"):
        await plant.rebuilt()
    assert await plant.rebuilt() == [Rebuilt("small_retail", 5)]


async def test_a_rebuild_that_lost_its_place_to_a_later_one_ends(plant: Plant) -> None:
    plant.enrolled(fresh(), 5)
    first = plant.rebuilding.begin()["small_retail"]
    plant.rebuilding.begin()
    with pytest.raises(ServiceRefused, match="another rebuild dropped what this one built"):
        plant.rebuilding.held(first)


async def test_no_plain_vector_is_in_any_file_and_the_scan_would_find_one(plant: Plant) -> None:
    where = fresh()
    plant.enrolled(where, 5)
    (plain,) = drawn(1, where.pack, seed=77)
    canary = Row("canary", "g", "p", "k", plain)
    plant.store.ensure("canaries", len(plain), "cosine")
    plant.store.upsert("canaries", [canary])
    assert on_disk(plant.folder, plain.tobytes())
    plant.store.flush("canaries")
    assert on_disk(plant.folder, plain.tobytes())
    await plant.rebuilt()
    for vector in plant.vectors.values():
        for needle in (vector.tobytes(), vector[: len(vector) // 4].tobytes(), vector.astype(np.float16).tobytes()):
            assert not on_disk(plant.folder, needle)


async def test_each_generation_stores_a_template_in_its_own_way_and_its_key_ends_with_it(plant: Plant) -> None:
    where = fresh()
    plant.enrolled(where, 5)
    vector = next(iter(plant.vectors.values()))
    begun = plant.rebuilding.begin()["small_retail"]
    plant.enrolled(where, 5, seed=1)
    vector = list(plant.vectors.values())[-1]
    stored = [plant.rotations.turned(name, vector[None])[0] for name in ("small_retail__1", begun)]
    assert abs(float(stored[0] @ stored[1])) < 0.5
    assert all(on_disk(plant.folder, each.tobytes()) for each in stored)
    keys = plant.rotations.keys
    kids = [keys.known(f"galleries/{name}") for name in ("small_retail__1", begun)]
    await plant.rebuilt()
    assert not any(keys.alive(kid) for kid in kids)
    (shown_now,) = generations(plant)["small_retail"]
    assert plant.rotations.drawn(shown_now)
    assert keys.count().alive == 1
    assert not any(on_disk(plant.folder, each.tobytes()) for each in stored)


async def test_a_reader_that_looked_long_ago_finds_the_generation_that_is_there(plant: Plant) -> None:
    where = fresh()
    plant.enrolled(where, 5)
    reader = MilvusGallery(plant.store, plant.rotations, timer=lambda: 0.0)
    face, vector = next(iter(plant.vectors.items()))
    for _ in range(2):
        ((found,),) = reader.search(where, vector[None], 1)
        assert found.persisted_face_id == face
        assert found.similarity == pytest.approx(1.0, abs=1e-5)
        await plant.rebuilt()
    ((found,),) = reader.search(where, vector[None], 1)
    assert found.persisted_face_id == face


async def test_a_reader_asks_which_generation_is_shown_when_its_answer_is_old(plant: Plant) -> None:
    where, clock = fresh(), [0.0]
    plant.enrolled(where, 5)
    reader, asked = MilvusGallery(plant.store, plant.rotations, timer=lambda: clock[0]), list[str]()
    target = plant.store.target

    def heard(alias: str) -> str | None:
        asked.append(alias)
        return target(alias)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plant.store, "target", heard)
        for seconds in (0.0, 0.5, LOOK_AGAIN - 0.1, LOOK_AGAIN, LOOK_AGAIN + 0.5):
            clock[0] = seconds
            reader.search(where, drawn(1, where.pack), 1)
    assert asked == ["small_retail"] * 2


async def test_a_generation_without_a_key_is_refused_with_the_cure_which_cures(plant: Plant) -> None:
    where = fresh()
    plant.enrolled(where, 5)
    plant.rotations.destroy("small_retail__1")
    refusal = "small_retail__1 has no key in this key store: .* make it anew with faceline gallery rebuild"
    for _ in range(2):
        with pytest.raises(ServiceRefused, match=refusal):
            plant.gallery.search(where, drawn(1, where.pack), 1)
        with pytest.raises(ServiceRefused, match=refusal):
            plant.enrolled(where, 1, seed=1)
    assert await plant.rebuilt() == [Rebuilt("small_retail", 7)]
    assert await plant.same()
    face, vector = next(iter(plant.vectors.items()))
    assert plant.gallery.search(where, vector[None], 1)[0][0].persisted_face_id == face


async def test_a_milvus_that_was_emptied_gets_a_first_generation_of_another_name(plant: Plant) -> None:
    where = fresh()
    plant.enrolled(where, 2)
    await plant.rebuilt()
    plant.store.drop(generations(plant)["small_retail"][0])
    again = Enrol(MilvusIndex(plant.store, CATALOGUE, plant.rotations), plant.opened)
    (change,) = plant.enrolled(where, 1, seed=1)[:1]
    again.prepare([received(TEMPLATES, change, 0)])
    assert generations(plant)["small_retail"] == ["small_retail__2"]
    assert plant.gallery.search(where, drawn(1, where.pack, seed=1), 1)[0][0].similarity > 0.99


async def test_a_place_that_vectors_were_deleted_from_is_due_and_no_other(plant: Plant) -> None:
    where, large = fresh(), fresh("largepersongroup", "dlib")
    changes = plant.enrolled(where, 4)
    plant.enrolled(large, 4, seed=1)
    now = datetime.now(UTC)
    assert plant.rebuilding.due(now) == []
    tombstones: list[Change[Template]] = [Tombstone(changes[0].key)]
    plant.acknowledged(tombstones)
    plant.indexed(tombstones)
    assert plant.rebuilding.due(now) == ["small_retail"]
    rebuilt = await rebuild(plant.client, plant.rebuilding, plant.opened, grace=0.1, made_before=now)
    assert rebuilt == [Rebuilt("small_retail", 3)]
    assert generations(plant)[place(large)] == [f"{place(large)}__1"]
    later = now + timedelta(hours=6)
    assert plant.rebuilding.due(later) == []
    plant.acknowledged([Tombstone(changes[1].key)])
    plant.indexed([Tombstone(changes[1].key)])
    assert (plant.rebuilding.due(now), plant.rebuilding.due(later)) == ([], ["small_retail"])


async def test_what_a_rebuild_copied_too_late_makes_the_next_one_due(plant: Plant) -> None:
    """Enrol has taken a template out before the copy of it is written: the copy's files keep it."""
    where = fresh()
    changes = plant.enrolled(where, 3)
    begun = plant.rebuilding.begin()["small_retail"]
    (change,) = changes[:1]
    assert isinstance(change, Put)
    plant.acknowledged([Tombstone(change.key)])
    plant.indexed([Tombstone(change.key)])
    face = change.value.persisted_face_id
    plant.rebuilding.write(begun, [(change.value, plant.vectors[face])])
    plant.rebuilding.remove(begun, [face])
    plant.rebuilding.show("small_retail", begun)
    plant.rebuilding.drop_hidden()
    assert plant.rebuilding.due(datetime.now(UTC) + timedelta(hours=6)) == ["small_retail"]


async def test_a_rebuild_that_is_killed_at_any_step_is_made_good_by_the_next(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "PAUSE", 0.01)  # nobody writes meanwhile
    where, steps = fresh(), 0
    plant.enrolled(where, 2)
    while True:
        (change,) = plant.enrolled(where, 1, seed=100 + steps)
        tombstones: list[Change[Template]] = [Tombstone(change.key)]
        plant.acknowledged(tombstones)
        plant.indexed(tombstones)
        gone = plant.vectors.pop(change.key.rpartition("/")[2])
        secret = plant.rotations.turned(generations(plant)["small_retail"][-1], gone[None])[0].tobytes()
        assert on_disk(plant.folder, secret)
        killed = await killed_at(plant, steps)
        for face, vector in plant.vectors.items():
            ((found,),) = plant.gallery.search(where, vector[None], 1)
            assert found.persisted_face_id == face
        plant.enrolled(where, 1, seed=200 + steps)
        assert await plant.rebuilt() == [Rebuilt("small_retail", 3 + steps)]
        assert len(generations(plant)["small_retail"]) == 1
        assert await plant.same()
        assert plant.rotations.keys.count().alive == 1
        assert not on_disk(plant.folder, secret)
        if not killed:
            break
        steps += 1
    # Made, keyed, named, filled, flushed, shown; the old one hidden, its key destroyed, dropped.
    assert steps == 9


async def killed_at(plant: Plant, step: int) -> bool:
    """Whether a rebuild had so many steps outside this process, and was ended before that one."""
    killed = Killed(step)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ensure", "rename", "upsert", "flush", "point", "drop"):
            patch.setattr(Milvus, name, killed.before(getattr(Milvus, name)))
        for name in ("draw", "destroy"):
            patch.setattr(Rotations, name, killed.before(getattr(Rotations, name)))
        try:
            await plant.rebuilt()
        except Killed:
            return True
    return False


def test_a_deletion_leaves_later_the_later_the_index_is_renewed_and_the_more_it_holds() -> None:
    assert kept_at_most(3600, 0) > 3600 + 2 * (LOOK + GRACE)
    assert kept_at_most(7200, 0) - kept_at_most(3600, 0) == 3600
    assert kept_at_most(3600, 20_000) > kept_at_most(3600, 0)


class Killed(BaseException):
    """Ends a rebuild before its n-th step outside this process, as a kill would."""

    def __init__(self, step: int) -> None:
        self.left = step

    def before(self, act: Callable[..., Any]) -> Callable[..., Any]:
        def acted(*given: Any, **named: Any) -> Any:
            if self.left == 0:
                raise self
            self.left -= 1
            return act(*given, **named)

        return acted


async def test_a_template_that_does_not_open_is_left_out_and_an_empty_index_needs_nothing(plant: Plant) -> None:
    assert await plant.rebuilt() == []
    where = fresh()
    changes = plant.enrolled(where, 3)
    del plant.vectors[changes[0].key.rpartition("/")[2]]
    assert await plant.rebuilt() == [Rebuilt("small_retail", 2)]


async def test_an_operators_own_collections_are_left_alone(plant: Plant) -> None:
    for name in ("somebody_elses", "small_retail_of_mine"):
        plant.store.ensure(name, 8, "cosine")
    plant.enrolled(fresh(), 3)
    await plant.rebuilt()
    assert plant.store.names()[1:] == ["small_retail_of_mine", "somebody_elses"]
