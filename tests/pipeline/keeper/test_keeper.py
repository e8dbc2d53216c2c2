"""The keeper's own promises: one owner per partition, and nothing done without the whole of its state."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from unittest.mock import AsyncMock, Mock

import pytest

from connectors import kafka
from pipeline.keeper import Keeper
from pipeline.topology import IDENTIFICATIONS, IDENTIFY
from pipeline.views.follower import StaleViewError
from tests.pipeline.conftest import Cluster
from tests.pipeline.echo_process import Stand, ended, numbered, stand

pytestmark = pytest.mark.broker

BUG = 70


@pytest.fixture
async def echo(cluster: Cluster, tmp_path: Path) -> AsyncIterator[Stand]:
    async with stand("keeper", cluster, tmp_path) as made:
        yield made


async def test_a_fenced_owner_publishes_nothing_more_and_ends(echo: Stand) -> None:
    before, after = numbered(80)[:40], numbered(80)[40:]
    process = await echo.start()
    await echo.feed(before)
    await echo.ear.until_told(before)
    usurpers = [kafka.producer(echo.cluster.access, transactional_id=f"{echo.group}-{p}") for p in range(4)]
    for usurper in usurpers:
        await usurper.start()
    await echo.feed(after)
    assert await ended(process) == BUG
    assert "ProducerFenced" in echo.last_words()
    await echo.ear.all_there_is()
    assert set(echo.ear.told) == set(before)
    for usurper in usurpers:
        await usurper.stop()
    await echo.start()
    await echo.ear.until_told(after)
    await echo.ear.all_there_is()
    assert set(echo.ear.times) == {1}


async def test_a_state_that_cannot_be_replayed_ends_the_process(echo: Stand) -> None:
    name = echo.cluster.deployment.name(IDENTIFICATIONS)
    producer = kafka.producer(echo.cluster.access)
    await producer.start()
    await producer.send_and_wait(name, key=b"later", value=b"{}", partition=1, headers=[("faceline-schema", b"9")])
    await producer.stop()
    # No face is fed: it must not wait for one to find out.
    assert await ended(await echo.start()) == BUG
    assert "upgrade Faceline" in echo.last_words()


async def test_an_owner_reads_every_end_after_its_fence(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """In another order a new owner could miss a deletion that the old one answered for (`tests/protocol`)."""
    order: list[str] = []

    def noted(what: str, answer: object = None) -> AsyncMock:
        def note(*_: object) -> object:
            order.append(what)
            return answer

        return AsyncMock(side_effect=note)

    desk = Mock(deployment=cluster.deployment, replay=noted("state"))
    desk.replay.deployment = cluster.deployment
    desk.stage.node = IDENTIFY
    keeper = Keeper(desk, cluster.access, Mock(), Mock(), instance="0", tables=Mock(catch_up=noted("tables")))
    keeper._consumer = Mock(committed=noted("offset", 7))
    monkeypatch.setattr(kafka, "producer", lambda *_, **__: Mock(start=noted("fence")))
    await keeper._own(0)
    assert order == ["fence", "tables", "state", "offset"]


@pytest.fixture
def busy(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Keeper:
    """A keeper that prepares for ever what it took from partition 0, beside tables whose next poll fails."""
    desk = Mock(deployment=cluster.deployment)
    desk.stage.node = IDENTIFY
    tables = Mock(poll=AsyncMock(side_effect=StaleViewError("stale")))
    keeper = Keeper(desk, cluster.access, Mock(), Mock(), instance="0", tables=tables)

    async def take(_self: Keeper, _partition: int, _records: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Keeper, "_take", take)
    return keeper


async def test_what_is_being_prepared_is_not_to_blame_for_what_fails_beside_it(busy: Keeper) -> None:
    with pytest.raises(StaleViewError):
        await busy._take_all({0: []})
    busy._desk.attempts.acquit.assert_called_once()  # type: ignore[attr-defined]


async def test_what_failed_first_is_what_is_told(busy: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = asyncio.Event()

    async def take(_self: Keeper, _partition: int, _records: object) -> None:
        await failing.wait()
        raise ValueError("the record's own fault")

    async def tick(_self: Keeper, _others: object = ()) -> None:
        failing.set()
        await asyncio.sleep(0.01)
        raise StaleViewError("what follows from it")

    monkeypatch.setattr(Keeper, "_take", take)
    monkeypatch.setattr(Keeper, "_tick_those_due", tick)
    with pytest.raises(ValueError, match="own fault"):
        await busy._take_all({0: []})
    busy._desk.attempts.acquit.assert_not_called()  # type: ignore[attr-defined]
