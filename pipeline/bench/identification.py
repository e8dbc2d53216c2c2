"""What recognition costs: Identify beside a bare search, its check of deletions, and enrolment beside a bare upsert."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from connectors.milvus import Milvus
from connectors.milvus import Row as IndexRow
from pipeline import wiring
from pipeline.api.currency import Currency
from pipeline.bench import Bench, Row, under
from pipeline.bench.caller import OPEN_TABLE, Caller, calling, photo
from pipeline.bench.deployment import Deployed, deployed
from pipeline.bench.gallery import AT_ONCE, drawn, enrol, ensured, indexed
from pipeline.galleries import Searched
from pipeline.operations.client import Client
from pipeline.operations.nearest import LOOK_AT
from pipeline.records import Collection
from pipeline.wiring.galleries.milvus import place

NAME = "identification"
PEOPLE = "/largepersongroups/people"
CANDIDATES = 10
BURST = 1000
SCRATCH = "bench_upsert"
CHECK_GOAL_MS = 5.0


@dataclass(frozen=True, slots=True)
class Filled:
    """One size of a gallery: seconds of each Identify, bare search and check; persons a second, both ways.

    The check is what every answer waits for: that the tables show each deletion that was acknowledged before.
    """

    persons: int
    identified: Sequence[float]
    searched: Sequence[float]
    checked: Sequence[float]
    enrolled_per_second: float
    upserted_per_second: float

    def rows(self) -> list[Row]:
        """Latency, its multiple of a bare search, and the rate of enrolment as a share of the bare one."""
        known = f"{self.persons} persons"
        p50, p99 = np.percentile([each * 1000 for each in self.identified], [50, 99])
        bare, _ = np.percentile([each * 1000 for each in self.searched], [50, 99])
        check, slow_check = np.percentile([each * 1000 for each in self.checked], [50, 99])
        share = self.enrolled_per_second / self.upserted_per_second
        return [
            Row(NAME, f"{known}: identify over HTTP, p50 and p99", f"{p50:.1f} ms, {p99:.1f} ms"),
            Row(NAME, f"{known}: identify / bare search of Milvus, p50", f"{p50 / bare:.2f} ({bare:.1f} ms)"),
            under(NAME, f"{known}: the check of deletions, p50", float(check), CHECK_GOAL_MS, unit=" ms"),
            Row(NAME, f"{known}: the check of deletions, p99", f"{slow_check:.2f} ms"),
            Row(NAME, f"{known}: enrolled and indexed a second", f"{self.enrolled_per_second:.0f}"),
            Row(NAME, f"{known}: of the bare upsert's rate", f"{share:.3f} ({self.upserted_per_second:.0f} a second)"),
        ]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Every size of a run."""

    sizes: tuple[Filled, ...]

    @property
    def sound(self) -> bool:
        return bool(self.sizes)

    def rows(self) -> list[Row]:
        return [row for size in self.sizes for row in size.rows()]


async def run(
    bench: Bench, *, pack: str = "retail", persons: Sequence[int] = (1_000, 10_000), times: int = 100
) -> Sizes:
    """Fill one group to each number of persons, of one template each, and measure."""
    found = []
    async with (
        deployed(bench, pack, api=True, tables={"api": OPEN_TABLE}) as deployment,
        calling(deployment) as caller,
        deployment.client() as client,
    ):
        collection = await ensured(client, pack)
        random = np.random.default_rng(0)
        for count in sorted(persons):
            bench.tell(f"enrolling {count} persons")
            rate = await _filled(deployment, client, count, random)
            bench.tell(f"identifying {times} times among {count}")
            identified = await _identified(caller, times)
            searched = await asyncio.to_thread(_searched, deployment, collection, times, random)
            checked = await _checked(deployment, client, times)
            upserted = await asyncio.to_thread(_upserted, deployment, count, random)
            found.append(Filled(count, identified, searched, checked, rate, upserted))
    return Sizes(tuple(found))


async def _filled(deployment: Deployed, client: Client, persons: int, random: np.random.Generator) -> float:
    """Enrol up to so many persons, as many at once as a busy office has; persons a second until all are indexed."""
    pack = deployment.settings.models.pack
    dimension = wiring.catalogue().pack(pack).dimension
    missing = persons - len(client.tables.live.persons)
    room = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with room:
            await enrol(client, pack, "drawn", drawn(1, dimension, random))

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(missing)))
    await indexed(deployment, client)
    return missing / (time.perf_counter() - began)


async def _identified(caller: Caller, times: int) -> list[float]:
    face = (await caller.detected(photo())).body[0]["faceId"]
    await caller.trained(PEOPLE)
    body = {
        "faceIds": [face],
        "largePersonGroupId": "people",
        "maxNumOfCandidatesReturned": CANDIDATES,
        "confidenceThreshold": 0.0,
    }
    return [(await caller.done("POST", "/identify", body)).seconds for _ in range(times)]


async def _checked(deployment: Deployed, client: Client, times: int) -> list[float]:
    """Seconds of each look at the ends of the tables, as the API takes it before it answers."""
    current = Currency(client.catch_up, float(deployment.settings.api.patience))
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        await current()
        seconds.append(time.perf_counter() - began)
    return seconds


def _searched(deployment: Deployed, collection: Collection, times: int, random: np.random.Generator) -> list[float]:
    """Seconds of each search as Identify does it, without everything around it."""
    pack = deployment.settings.models.pack
    where = place(Searched(collection.kind, collection.uid, pack))
    seconds = []
    with closing(wiring.milvus(deployment.settings, deployment.home)) as milvus:
        for probe in drawn(times, wiring.catalogue().pack(pack).dimension, random):
            began = time.perf_counter()
            milvus.search(where, probe.template[None], collection.uid, LOOK_AT * CANDIDATES)
            seconds.append(time.perf_counter() - began)
    return seconds


def _upserted(deployment: Deployed, rows: int, random: np.random.Generator) -> float:
    """Rows a second that Milvus alone takes, flushed after each burst as enrol does."""
    pack = wiring.catalogue().pack(deployment.settings.models.pack)
    vectors = [each.template for each in drawn(rows, pack.dimension, random)]
    with closing(wiring.milvus(deployment.settings, deployment.home)) as milvus:
        milvus.ensure(SCRATCH, pack.dimension, pack.metric)
        began = time.perf_counter()
        for start in range(0, rows, BURST):
            _burst(milvus, start, vectors[start : start + BURST])
        seconds = time.perf_counter() - began
        milvus.drop(SCRATCH)
    return rows / seconds


def _burst(milvus: Milvus, start: int, vectors: Sequence[np.ndarray[tuple[int], np.dtype[np.float32]]]) -> None:
    rows = [
        IndexRow(f"e{start + index}", "bench", f"p{start + index}", "k", vector) for index, vector in enumerate(vectors)
    ]
    milvus.upsert(SCRATCH, rows)
    milvus.flush(SCRATCH)
