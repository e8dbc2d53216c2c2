"""The index made anew by itself beside the stages of a deployment, on a real Kafka and Milvus Lite."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import closing, suppress
from datetime import timedelta
from itertools import count
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from connectors import ServiceRefused, ServiceUnavailable
from connectors.broker import EmbeddedBroker
from connectors.milvus import Milvus
from pipeline.settings import Settings, load
from pipeline.stages.enrol import Entry
from pipeline.wiring.erasing import rebuilt_within
from pipeline.wiring.galleries import renewing
from pipeline.wiring.galleries.contents import MilvusContents
from pipeline.wiring.galleries.generations import Generations
from pipeline.wiring.galleries.index import MilvusIndex
from pipeline.wiring.galleries.rebuilding import MilvusRebuilding
from pipeline.wiring.galleries.renewing import keep_renewed, renewed
from pipeline.wiring.galleries.rotation import Rotations
from tests.pipeline.api.conftest import pictures as pictures
from tests.pipeline.api.house import House, house

MODEL = "recognition_04"
EMPTY = (400, "FaceListNotReady")


@pytest.fixture
async def running(broker: EmbeddedBroker, milvus: str, tmp_path: Path) -> AsyncIterator[House]:
    async with house(broker.bootstrap, milvus, tmp_path) as opened:
        yield opened


def generations(running: House) -> Mapping[str, list[str]]:
    with closing(Milvus(str(running.settings.milvus.uri))) as store:
        return Generations(store).all()


async def until_worn(running: House) -> None:
    with closing(Milvus(str(running.settings.milvus.uri))) as store:
        index = MilvusRebuilding.of(store, Rotations(running.keys), running.clock)
        async with asyncio.timeout(30):
            while not index.due(running.clock() + timedelta(days=1)):  # noqa: ASYNC110
                await asyncio.sleep(0.1)


def the_sweep_is_missing(patch: pytest.MonkeyPatch) -> None:
    async def swept(*_: object) -> int:
        return 0

    patch.setattr(renewing, "swept", swept)


def the_sweep_finds_nothing(patch: pytest.MonkeyPatch) -> None:
    async def orphans(*_: object) -> set[str]:
        return set()

    patch.setattr(renewing, "orphans", orphans)


PLANTED = (the_sweep_is_missing, the_sweep_finds_nothing)


def indexed(running: House) -> set[str]:
    """What lies in the index, whoever it belongs to."""
    with closing(Milvus(str(running.settings.milvus.uri))) as store:
        contents = MilvusContents(store)
        return {each for place in contents.places() for each in contents.ids(place)}


async def looked_after(running: House, patch: pytest.MonkeyPatch) -> None:
    """Keep the index for so long that it was swept once, if it is swept at all."""
    looks, twice = count(1), asyncio.Event()

    async def nothing_is_due(*_: object) -> list[object]:
        if next(looks) == 2:
            twice.set()
        return []

    patch.setattr(renewing, "renewed", nothing_is_due)
    patch.setattr(renewing, "FIRST_SWEEP", 0.0)
    patch.setattr(renewing, "LOOK", 0.01)
    task = asyncio.create_task(keep_renewed(running.parts, running.access))
    await asyncio.wait_for(twice.wait(), 60)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


@pytest.mark.broker
@pytest.mark.milvus
async def test_what_never_came_to_be_is_swept_out_of_the_index(
    running: House, pictures: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As enrol leaves it, which reads a template of a transaction that is then given up. With a fault it stays."""
    parts = running.parts
    await running.done("PUT", "/facelists/known", {"name": "n", "recognitionModel": MODEL})
    face = (await running.sent("/facelists/known/persistedfaces", pictures["grace"]))["persistedFaceId"]
    async with asyncio.timeout(30):
        while indexed(running) != {face}:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    lived = next(each for each in running.service.client.tables.live.templates.values())
    never = msgspec.structs.replace(lived, persisted_face_id="00000000-0000-4000-8000-000000000000")
    with closing(Milvus(str(running.settings.milvus.uri))) as store:
        index = MilvusIndex(store, parts.catalogue, Rotations(running.keys))
        index.upsert([Entry(never, unit(parts.catalogue.pack(never.recognition.pack).dimension))])
        index.flush()
    for plant in PLANTED:
        with monkeypatch.context() as patch:
            plant(patch)
            await looked_after(running, patch)
        assert indexed(running) == {face, never.persisted_face_id}, plant.__name__
    await looked_after(running, monkeypatch)
    assert indexed(running) == {face}


def unit(dimension: int) -> NDArray[np.float32]:
    vector = np.zeros(dimension, np.float32)
    vector[0] = 1.0
    return vector


@pytest.mark.broker
@pytest.mark.milvus
async def test_what_was_deleted_leaves_by_itself_and_then_nothing_is_due(
    running: House, pictures: dict[str, bytes]
) -> None:
    parts, access, clock = running.parts, running.access, running.clock
    await running.done("PUT", "/facelists/known", {"name": "n", "recognitionModel": MODEL})
    faces = [
        (await running.sent("/facelists/known/persistedfaces", pictures[name]))["persistedFaceId"]
        for name in ("grace", "eileen")
    ]
    probe = await running.detected(pictures["eileen again"])

    async def similar() -> list[str]:
        found = await running.done("POST", "/findsimilars", {"faceId": probe, "faceListId": "known"})
        return [each["persistedFaceId"] for each in found]

    assert await similar() == [faces[1]]
    assert await renewed(parts, access, clock, grace=0.1) == []
    await running.done("DELETE", f"/facelists/known/persistedfaces/{faces[0]}")
    await until_worn(running)
    before = generations(running)
    ((there, templates),) = [(each.place, each.templates) for each in await renewed(parts, access, clock, grace=0.1)]
    assert templates == 1
    assert len(generations(running)[there]) == 1
    assert generations(running)[there] != before[there]
    assert await renewed(parts, access, clock, grace=0.1) == []
    assert await similar() == [faces[1]]
    # The second one waits until the index is as old as the settings say.
    await running.done("DELETE", f"/facelists/known/persistedfaces/{faces[1]}")
    await until_worn(running)
    assert await renewed(parts, access, clock, grace=0.1) == []
    clock.advance(running.settings.milvus.renew + 1)
    assert [each.templates for each in await renewed(parts, access, clock, grace=0.1)] == [0]
    assert await running.refused("POST", "/findsimilars", {"faceId": probe, "faceListId": "known"}) == EMPTY


@pytest.mark.broker
@pytest.mark.milvus
async def test_of_two_processes_that_find_it_due_one_does_it(running: House, pictures: dict[str, bytes]) -> None:
    await running.done("PUT", "/facelists/known", {"name": "n", "recognitionModel": MODEL})
    face = (await running.sent("/facelists/known/persistedfaces", pictures["grace"]))["persistedFaceId"]
    await running.done("DELETE", f"/facelists/known/persistedfaces/{face}")
    await until_worn(running)
    both = [renewed(running.parts, running.access, running.clock, grace=0.1) for _ in range(2)]
    first, second = await asyncio.gather(*both, return_exceptions=True)
    done = [each for each in (first, second) if isinstance(each, list) and each]
    assert len(done) == 1
    other = first if done[0] is second else second
    assert other == [] or isinstance(other, ServiceRefused)


class _Parts:
    """Settings, and nothing else."""

    settings = Settings()


async def test_a_failure_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    outcomes = iter([ServiceUnavailable("Milvus is away"), RuntimeError("a bug"), []])
    tried = asyncio.Event()

    async def failing(*_: object) -> list[object]:
        outcome = next(outcomes, None)
        if outcome is None:
            tried.set()
        if isinstance(outcome, Exception):
            raise outcome
        return []

    monkeypatch.setattr(renewing, "renewed", failing)
    monkeypatch.setattr(renewing, "LOOK", 0.01)
    with caplog.at_level(logging.WARNING):
        task = asyncio.create_task(keep_renewed(_Parts(), None))  # type: ignore[arg-type]
        await asyncio.wait_for(tried.wait(), 5)
        task.cancel()
    assert [record.levelname for record in caplog.records] == ["WARNING", "ERROR"]
    assert "Milvus is away" in caplog.text


def test_the_bound_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "faceline.toml").write_text('[milvus]\nrenew = "1h"\n')
    given = load(tmp_path)
    assert given.milvus.renew == 3600
    bound = rebuilt_within(given)
    assert bound is not None
    assert 3600 < bound < 3600 + 600
    (tmp_path / "faceline.toml").write_text('[milvus]\nuri = "http://milvus:19530"\n')
    assert rebuilt_within(load(tmp_path)) is None
    assert rebuilt_within(Settings()) == bound + 5 * 3600
