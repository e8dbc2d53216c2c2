"""Fills a benchmark's gallery: with drawn templates, which resemble nobody, or with persons from photos."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline import wiring
from pipeline.bench.asking import answered
from pipeline.bench.deployment import Deployed
from pipeline.galleries import Candidate, Searched
from pipeline.operations import Refused, collections, persons
from pipeline.operations.client import Client
from pipeline.operations.photos import Choice, Portrait, portrait
from pipeline.operations.waiting import enrolled
from pipeline.records import Box, Collection, Recognition
from pipeline.topology import ENROL
from pipeline.wiring.asking import ModelPortraitist
from pipeline.wiring.galleries.milvus import MilvusGallery
from pipeline.wiring.galleries.rotation import Rotations

FACES_EACH = 10
AT_ONCE = 16
SEARCHED_AT_ONCE = 100
INDEX_SECONDS = 300.0
SAME = 0.999


async def ensured(client: Client, model: str, *, scope: str = collections.DEFAULT) -> Collection:
    """The collection, for templates of this model."""
    return await collections.ensure(client, scope, recognition=Recognition(model), request_id=client.new_id())


async def enrol(
    client: Client, model: str, name: str, portraits: Iterable[Portrait], *, scope: str = collections.DEFAULT
) -> str:
    """One person of the collection; the personId."""
    given, recognition, request_id = list(portraits), Recognition(model), client.new_id()
    return await answered(
        lambda: persons.add(client, scope, name, given, recognition=recognition, request_id=request_id)
    )


def drawn(count: int, dimension: int, random: np.random.Generator) -> list[Portrait]:
    """Portraits with templates of unit length in directions drawn at random."""
    vectors = random.standard_normal((count, dimension)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return [Portrait(Box(0, 0, 100, 100), 1.0, vector) for vector in vectors]


async def filled(deployment: Deployed, client: Client, templates: int, random: np.random.Generator) -> None:
    """Bring the default collection to `templates` templates, ten for a person, and wait until they are indexed."""
    model = deployment.settings.models.pack
    await ensured(client, model)
    dimension = wiring.catalogue().pack(model).dimension
    wanted = (templates - len(client.tables.live.templates)) // FACES_EACH
    room = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with room:
            await enrol(client, model, "drawn", drawn(FACES_EACH, dimension, random))

    await asyncio.gather(*(one() for _ in range(wanted)))
    await indexed(deployment, client)


async def indexed(deployment: Deployed, client: Client, *, scope: str = collections.DEFAULT) -> None:
    """Wait until every template of the collection can be found."""
    settings = deployment.settings
    plan = settings.deployment()
    with closing(wiring.admin(settings, deployment.home)) as admin:
        await enrolled(client, admin, plan.group(ENROL), scope, plan, timeout=INDEX_SECONDS)


async def from_photos(
    deployment: Deployed, client: Client, photos: Mapping[str, Sequence[Path]]
) -> dict[str, tuple[str, Path]]:
    """Enrol each person from the first photo that is accepted: personId and photo, by name."""
    models = ModelPortraitist(await asyncio.to_thread(wiring.face_models, deployment.settings))
    await ensured(client, models.recognition.pack)
    enrolled = {}
    for name, files in photos.items():
        photo, found = await asyncio.to_thread(_accepted, models, files)
        enrolled[name] = await enrol(client, models.recognition.pack, name, [found]), photo
    await indexed(deployment, client)
    return enrolled


def _accepted(models: ModelPortraitist, files: Sequence[Path]) -> tuple[Path, Portrait]:
    reasons = []
    for photo in files:
        try:
            return photo, portrait(str(photo), photo.read_bytes(), models, Choice())
        except Refused as refusal:
            reasons.append(str(refusal))
    raise Refused("; ".join(reasons))


@contextmanager
def index(deployment: Deployed, collection: Collection) -> Iterator[Callable[[Portrait], bool]]:
    """A function that says whether a search of the index finds this very template; it blocks."""
    with _searched(deployment, collection) as search:

        def finds(wanted: Portrait) -> bool:
            return _same(search(wanted.template[None])[0])

        yield finds


def unfound(deployment: Deployed, collection: Collection, portraits: Sequence[Portrait]) -> int:
    """How many of these templates a search of the index does not find; it blocks."""
    missing = 0
    with _searched(deployment, collection) as search:
        for start in range(0, len(portraits), SEARCHED_AT_ONCE):
            found = search(np.stack([each.template for each in portraits[start : start + SEARCHED_AT_ONCE]]))
            missing += sum(not _same(candidates) for candidates in found)
    return missing


@contextmanager
def _searched(
    deployment: Deployed, collection: Collection
) -> Iterator[Callable[[NDArray[np.float32]], list[list[Candidate]]]]:
    where = Searched(collection.kind, collection.uid, deployment.settings.models.pack)
    with (
        closing(wiring.milvus(deployment.settings, deployment.home)) as milvus,
        closing(wiring.key_store(deployment.settings, deployment.home)) as keys,
    ):
        gallery = MilvusGallery(milvus, Rotations(keys))
        yield lambda probes: gallery.search(where, probes, 1)


def _same(candidates: Sequence[Candidate]) -> bool:
    return any(each.similarity > SAME for each in candidates)
