"""Both shells on a real Kafka, in processes that are killed, crash, join and leave: what each promises holds."""

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from connectors.broker import EmbeddedBroker
from connectors.kafka import KafkaAccess
from connectors.kafka_admin import KafkaAdmin
from pipeline.changes import Put
from pipeline.codec import SCHEMA_HEADER, encode
from pipeline.topology import FACES
from tests.latin_headers import Latin, let_producers_write_latin
from tests.pipeline.conftest import Cluster, fresh_cluster
from tests.pipeline.echo import face
from tests.pipeline.echo_process import Stand, ended, numbered, stand

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]

SHELLS = ("keeper", "worker")
KILLS = 5
BUG = 70


@pytest.fixture(params=SHELLS)
async def echo(request: pytest.FixtureRequest, cluster: Cluster, tmp_path: Path) -> AsyncIterator[Stand]:
    """A stand of each shell."""
    async with stand(request.param, cluster, tmp_path) as made:
        yield made


async def test_a_stage_killed_at_random_points_loses_nothing(echo: Stand) -> None:
    names = numbered(KILLS * 400)
    for life in range(KILLS):
        await echo.feed(names[life * 400 : (life + 1) * 400])
        process = await echo.start()
        heard = len(echo.ear.told)
        await echo.ear.until(lambda before=heard: len(echo.ear.told) > before)  # type: ignore[misc]
        await asyncio.sleep(secrets.SystemRandom().uniform(0, 0.3))
        process.kill()
        assert await ended(process) == -signal.SIGKILL
    process = await echo.start()
    await echo.ear.until_told(names)
    await _left(process)
    await _everything_was_told(echo, names)


async def test_a_second_instance_that_joins_and_leaves_loses_nothing(echo: Stand) -> None:
    enough = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        feeding = group.create_task(echo.feed_until(enough))
        first = await echo.start("0")
        await echo.ear.until(lambda: _told_by(echo, "0") > 0)
        for leave in (signal.SIGTERM, signal.SIGKILL):
            before = _told_by(echo, "1")
            second = await echo.start("1")
            await echo.ear.until(lambda least=before: _told_by(echo, "1") > least)  # type: ignore[misc]
            second.send_signal(leave)
            await ended(second)
        enough.set()
    names = feeding.result()
    await echo.ear.until_told(names)
    await _left(first)
    await _everything_was_told(echo, names)


async def test_an_exception_ends_the_process_before_anything_is_acknowledged(echo: Stand) -> None:
    await echo.feed(["bug", "fine"], partition=1)
    assert await ended(await echo.start()) == BUG
    await echo.ear.all_there_is()
    assert echo.ear.told == {}
    assert await _committed(echo) in ({}, {1: 0})


async def test_a_record_that_kills_its_process_is_condemned_alone(echo: Stand) -> None:
    around = numbered(40)
    await echo.feed([*around[:13], "poison-0", *around[13:15], "poison-1", *around[15:30]], partition=2)
    await echo.feed(around[30:], partition=0)
    ends = await echo.keep_up(lambda: len(echo.ear.letters) >= 2 and len(echo.ear.told) >= len(around), 180)
    assert set(ends) == {-signal.SIGKILL}
    # The two may die together once, in one batch; from then on each dies alone.
    assert 5 <= len(ends) <= 6, ends
    assert sorted((letter.partition, letter.offset, letter.attempts) for letter in echo.ear.letters) == [
        (2, 13, 3),
        (2, 16, 3),
    ]
    await _left(echo.living[-1])
    await echo.ear.all_there_is()
    assert len(echo.ear.letters) == 2
    assert set(echo.ear.told) == set(around)
    if echo.shell == "keeper":
        assert set(echo.ear.times) == {1}


async def test_what_cannot_be_read_goes_to_dead_letters_and_the_stage_goes_on(echo: Stand) -> None:
    good = encode(FACES, Put("good", face("good")))
    assert good.value is not None
    version = [("faceline-schema", b"1")]
    process = await echo.start()
    broken = await echo.put_raw(
        3,
        (b"garbage", os.urandom(200), version),
        (b"text", b'{"face_id": 1}', version),
        (b"empty", b"", version),
        (b"\xff\xfe", good.value, version),
        (b"oversized", b"x" * (FACES.max_bytes - 500), version),
        (b"other", encode(FACES, Put("x", face("x"))).value[:-3], version),  # type: ignore[index]
        (b"bare", good.value, []),
        (b"newer", good.value, [("faceline-schema", b"2")]),
        (b"odd", good.value, [("faceline-schema", b"\xffnine")]),
    )
    await echo.put_raw(3, (b"forgotten", None, version))
    await echo.feed(["good"], partition=3)
    await echo.ear.until(lambda: len(echo.ear.letters) >= len(broken) and "good" in echo.ear.told)
    assert [(letter.topic, letter.partition, letter.offset) for letter in echo.ear.letters] == [
        ("faces", 3, offset) for offset in broken
    ]
    assert "upgrade Faceline" in echo.ear.letters[7].error
    assert process.returncode is None
    assert list(echo.ear.told) == ["good"]


async def test_a_header_name_that_is_no_text_stops_nobody(echo: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    let_producers_write_latin(monkeypatch)
    process = await echo.start()
    odd, good = (Latin("\xff"), b"1"), encode(FACES, Put("odd", face("odd")))
    bare, _ = await echo.put_raw(2, (b"bare", good.value, [odd]), (b"odd", good.value, [odd, (SCHEMA_HEADER, b"1")]))
    await echo.feed(["good"], partition=2)
    await echo.ear.until(lambda: len(echo.ear.letters) >= 1 and {"odd", "good"} <= set(echo.ear.told))
    assert [(letter.partition, letter.offset, letter.attempts) for letter in echo.ear.letters] == [(2, bare, 1)]
    assert "faceline-schema is missing" in echo.ear.letters[0].error
    assert process.returncode is None


@pytest.mark.parametrize("echo", ["worker"], indirect=True)
async def test_what_is_finished_is_committed_though_acknowledgements_got_lost(echo: Stand) -> None:
    names = ["before", "lost-0", "lost-1", "after", "lost-2"]
    await echo.feed(names, partition=1)
    process = await echo.start()
    while await _committed(echo) != {1: len(names)}:  # noqa: ASYNC110 - Kafka tells nobody; the test has its timeout
        await asyncio.sleep(0.1)
    await echo.ear.all_there_is()
    assert echo.ear.times == {1: len(names)}
    await _left(process)


@pytest.mark.parametrize("echo", ["worker"], indirect=True)
async def test_one_commit_passes_the_markers_of_many_transactions(echo: Stand) -> None:
    names = numbered(200)
    await echo.feed_in_transactions(names, partition=1)
    process = await echo.start()
    await echo.ear.until(lambda: bool(echo.ear.told))
    # It commits twice a second, so that one marker a commit would take 100 s from here on, however slow the machine.
    async with asyncio.timeout(60):
        while (await _committed(echo)).get(1, 0) < 2 * 200 - 1:  # noqa: ASYNC110 - Kafka tells nobody
            await asyncio.sleep(0.1)
    await _left(process)


async def test_the_state_is_replayed_after_a_death(echo: Stand) -> None:
    names = numbered(90)
    for life in range(3):
        part = names[life * 30 : (life + 1) * 30]
        await echo.feed(part, partition=1)
        process = await echo.start()
        await echo.ear.until_told(part)
        await _left(process)
    # A revision is how many faces the stage remembered: a life that began with nothing would count from one again.
    assert [echo.ear.told[name][0].revision for name in (names[29], names[59], names[89])] == [30, 60, 90]


@pytest.fixture
async def own_broker(kafka_jars: Path, tmp_path: Path) -> AsyncIterator[EmbeddedBroker]:
    """A Kafka that a test may kill."""
    kafka = EmbeddedBroker(tmp_path / "kafka", kafka_jars)
    await kafka.start()
    yield kafka
    await kafka.stop()


async def test_kafka_killed_under_load_loses_nothing(own_broker: EmbeddedBroker, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        echoes = []
        for shell in SHELLS:
            (tmp_path / shell).mkdir()
            cluster = fresh_cluster(KafkaAccess(own_broker.bootstrap))
            echoes.append(await stack.enter_async_context(stand(shell, cluster, tmp_path / shell)))
        enough = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            working = [group.create_task(_fed_and_kept_up(echo, enough)) for echo in echoes]
            while min(len(echo.ear.told) for echo in echoes) < 500:  # noqa: ASYNC110 - they tell nobody else
                await asyncio.sleep(0.05)
            assert own_broker.pid is not None
            os.kill(own_broker.pid, signal.SIGKILL)
            await own_broker.wait()
            await own_broker.start()
            await asyncio.sleep(2.0)
            enough.set()
        for echo, fed in zip(echoes, working, strict=True):
            await _left(echo.living[-1])
            await _everything_was_told(echo, fed.result())


async def _fed_and_kept_up(echo: Stand, enough: asyncio.Event) -> list[str]:
    """Feed a stage that is started whenever it ends, until it is enough and all is told; the names that were fed."""
    async with asyncio.TaskGroup() as group:
        feeding = group.create_task(echo.feed_until(enough))
        group.create_task(echo.keep_up(lambda: feeding.done() and len(echo.ear.told) == len(feeding.result()), 150))
    return feeding.result()


def _told_by(echo: Stand, instance: str) -> int:
    return sum(telling.engine == instance for tellings in echo.ear.told.values() for telling in tellings)


async def _left(process: asyncio.subprocess.Process) -> None:
    process.terminate()
    assert await ended(process) == 0


async def _everything_was_told(echo: Stand, names: list[str]) -> None:
    """Nothing lost; by a keeper nothing twice; and every life knew all that earlier ones had told."""
    await echo.ear.all_there_is()
    assert echo.ear.letters == []
    assert set(echo.ear.told) == set(names)
    if echo.shell == "keeper":
        assert set(echo.ear.times) == {1}, echo.ear.times
    # A revision counts the faces that its partition's state held, and names went to the partitions in turn.
    wrong = {name: echo.ear.told[name] for i, name in enumerate(names) if echo.ear.told[name][0].revision != i // 4 + 1}
    assert not wrong, (len(wrong), list(wrong.items())[:3])


async def _committed(echo: Stand) -> dict[int, int]:
    admin = KafkaAdmin(echo.cluster.access)
    try:
        return await asyncio.to_thread(admin.committed, echo.group, echo.cluster.deployment.name(FACES))
    finally:
        admin.close()
