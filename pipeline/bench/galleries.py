"""The galleries beside bare arithmetic: how often they find whom they should, and how long a search takes.

Templates are drawn like those of faces: everybody has one, a probe resembles its mate by 0.7 and strangers by chance.
"""

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median

import numpy as np
from numpy.typing import NDArray

from connectors.keystore import KeyStore
from connectors.milvus import Milvus
from connectors.milvus_server import EmbeddedMilvus
from models.catalogue import load_catalogue
from pipeline.bench import Bench, Row
from pipeline.changes import Put
from pipeline.galleries import Gallery, Searched
from pipeline.records import Recognition, Sealed, Template
from pipeline.stages.enrol import Entry
from pipeline.wiring.galleries.exact import ExactGallery
from pipeline.wiring.galleries.generations import Generations
from pipeline.wiring.galleries.index import MilvusIndex
from pipeline.wiring.galleries.milvus import MilvusGallery, place
from pipeline.wiring.galleries.rotation import Rotations

NAME = "galleries"
PACK = "retail"
ALIKE = 0.7
LIMIT = 10
PROBES = 50
ROWS_AT_ONCE = 1000
SERVER = "HNSW on a Milvus server"

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Measured:
    """How a gallery did: shares of the ten nearest, and of the mates, that it found; seconds of a search, in median."""

    engine: str
    nearest: float
    mates: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Galleries:
    """The galleries of a run, the exact one first; of a Milvus server only where there was one."""

    templates: int
    measured: Sequence[Measured]
    arithmetic: float
    served: bool

    @property
    def sound(self) -> bool:
        """Whether those that compare with every template missed none."""
        return all(each.nearest == 1.0 for each in self.measured if each.engine != SERVER)

    def rows(self) -> list[Row]:
        rows = []
        for each in self.measured:
            what = f"{each.engine}, {self.templates} templates"
            rows += [
                Row(NAME, f"{what}: found of the {LIMIT} nearest", f"{each.nearest:.4f}"),
                Row(NAME, f"{what}: found of the mates", f"{each.mates:.4f}"),
                Row(NAME, f"{what}: a search beside bare NumPy", f"{each.seconds / self.arithmetic:.1f}x"),
            ]
        if not self.served:
            rows.append(Row(NAME, f"{SERVER}: found", "not measured: the settings name no Milvus"))
        return rows


async def run(bench: Bench, *, templates: int = 20_000, server: Callable[[], Milvus] | None = None) -> Galleries:
    """Fill each gallery with so many templates and look for fifty of them; `server` opens a Milvus of the operator's.

    What was written there is dropped at the end.
    """
    bench.tell(f"drawing {templates} templates")
    kept, probes = await asyncio.to_thread(_drawn, templates)
    where = Searched("largepersongroup", str(uuid.uuid4()), PACK)
    exact = _exact(where, kept)
    rotations = Rotations(KeyStore.create(bench.folder / "keys"))
    lite = EmbeddedMilvus(bench.folder / "galleries")
    stores = {"FLAT on Milvus Lite": Milvus(await lite.start())}
    try:
        if server is not None:
            stores[SERVER] = server()
        named: dict[str, Gallery] = {"exact, in memory": exact}
        for name, store in stores.items():
            bench.tell(f"filling {name}")
            await asyncio.to_thread(_filled, store, rotations, where, kept)
            named[name] = MilvusGallery(store, rotations)
        bench.tell("searching")
        return await asyncio.to_thread(_compared, named, where, kept, probes, SERVER in stores)
    finally:
        for store in stores.values():
            with closing(store):
                for name in Generations(store).of(place(where)):
                    store.drop(name)
        await lite.stop()
        rotations.keys.close()


def _drawn(count: int) -> tuple[Vectors, Vectors]:
    random = np.random.default_rng(0)
    dimension = load_catalogue().pack(PACK).dimension

    def unit(rows: int) -> NDArray[np.float64]:
        vectors: NDArray[np.float64] = random.standard_normal((rows, dimension))
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors

    kept = unit(count)
    probes = ALIKE * kept[:PROBES] + np.sqrt(1 - ALIKE**2) * unit(min(PROBES, count))
    probes /= np.linalg.norm(probes, axis=1, keepdims=True)
    return kept.astype(np.float32), probes.astype(np.float32)


def _template(where: Searched, number: int) -> Template:
    return Template(
        persisted_face_id=f"face-{number}",
        person_id=f"person-{number}",
        collection=where.uid,
        kind=where.kind,
        recognition=Recognition(where.pack),
        vector=Sealed("kid", b"", b""),
        quality=1.0,
        created=datetime.now(UTC),
    )


def _exact(where: Searched, kept: Vectors) -> ExactGallery:
    def opened(template: Template) -> Vectors:
        vector: Vectors = kept[int(template.persisted_face_id.rpartition("-")[2])]
        return vector

    metric = load_catalogue().pack(PACK).metric
    gallery = ExactGallery(opened, lambda _: metric)
    for number in range(len(kept)):
        gallery.apply(Put(f"person-{number}/face-{number}", _template(where, number)))
    gallery.search(where, kept[:1], 1)
    return gallery


def _filled(store: Milvus, rotations: Rotations, where: Searched, kept: Vectors) -> None:
    index = MilvusIndex(store, load_catalogue(), rotations)
    entries = [Entry(_template(where, number), vector) for number, vector in enumerate(kept)]
    for start in range(0, len(entries), ROWS_AT_ONCE):
        index.upsert(entries[start : start + ROWS_AT_ONCE])
    index.flush()


def _compared(named: dict[str, Gallery], where: Searched, kept: Vectors, probes: Vectors, served: bool) -> Galleries:
    """Every probe in every gallery, one after the other, so that what else the machine does meets all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in (*named, "")}
    nearest: dict[str, list[float]] = {name: [] for name in named}
    mates: dict[str, list[bool]] = {name: [] for name in named}
    for number, probe in enumerate(probes):
        began = time.perf_counter()
        alike = kept @ probe
        best = np.argpartition(-alike, LIMIT - 1)[:LIMIT]
        seconds[""].append(time.perf_counter() - began)
        wanted = {f"face-{index}" for index in best}
        for name, gallery in named.items():
            began = time.perf_counter()
            (found,) = gallery.search(where, probe[None], LIMIT)
            seconds[name].append(time.perf_counter() - began)
            nearest[name].append(len(wanted & {each.persisted_face_id for each in found}) / LIMIT)
            mates[name].append(found[0].persisted_face_id == f"face-{number}")
    measured = [
        Measured(name, float(np.mean(nearest[name])), float(np.mean(mates[name])), median(seconds[name]))
        for name in named
    ]
    return Galleries(len(kept), measured, median(seconds[""]), served)
