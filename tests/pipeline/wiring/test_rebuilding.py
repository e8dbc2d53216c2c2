"""The index made anew in a real Milvus Lite, while enrol writes, persons come and go, and readers search."""

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from connectors import ServiceRefused
from connectors.milvus import Milvus
from connectors.milvus_server import EmbeddedMilvus
from pipeline.changes import Change, Put, Tombstone
from pipeline.galleries import Searched
from pipeline.operations.client import Client
from pipeline.operations.index import compared
from pipeline.operations.rebuilding import Rebuilt, rebuild
from pipeline.records import Template
from pipeline.stages.enrol import Enrol
from pipeline.topology import TEMPLATES
from pipeline.wiring.galleries.generations import Generations
from pipeline.wiring.galleries.index import MilvusIndex
from pipeline.wiring.galleries.milvus import MilvusGallery, place
from pipeline.wiring.galleries.rebuilding import MilvusRebuilding
from tests.pipeline.examples import received
from tests.pipeline.operations.conftest import make_world
from tests.pipeline.wiring.test_galleries import CATALOGUE, Vectors, drawn, fresh, shown

pytestmark = [pytest.mark.milvus, pytest.mark.timeout(180)]


@dataclass
class Plant:
    """Tables, an enrol stage that follows them a little later, and the Milvus of both."""

    store: Milvus
    folder: Path
    client: Client = field(default_factory=lambda: make_world().client)
    vectors: dict[str, Vectors] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.enrol = Enrol(MilvusIndex(self.store, CATALOGUE), self.opened)
        self.gallery = MilvusGallery(self.store)
        self.rebuilding = MilvusRebuilding.of(self.store)

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
        return all(each.same for each in await compared(self.client, MilvusIndex(self.store, CATALOGUE)))


@pytest.fixture
async def plant(tmp_path: Path) -> AsyncIterator[Plant]:
    server = EmbeddedMilvus(tmp_path / "milvus")
    store = Milvus(await server.start())
    yield Plant(store, tmp_path / "milvus")
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
    secret = plant.vectors[gone[0].rpartition("/")[2]].tobytes()
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


async def test_a_second_rebuild_ends_the_first(plant: Plant) -> None:
    plant.enrolled(fresh(), 5)
    first = plant.rebuilding.begin()["small_retail"]
    plant.rebuilding.begin()
    with pytest.raises(ServiceRefused, match="another rebuild dropped what this one built"):
        plant.rebuilding.held(first)


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
