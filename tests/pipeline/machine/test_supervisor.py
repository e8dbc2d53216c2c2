"""The supervisor on real child processes: started in order, kept alive, said in the home, and ended in order."""

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from connectors import ServiceUnavailable
from pipeline.home import Home, HomeError, Running
from pipeline.machine.supervisor import Supervisor
from pipeline.settings import Settings
from tests.pipeline import machines
from tests.pipeline.machines import SLEEPER, Served, sleepers

TWO = {"detect": SLEEPER, "identify": SLEEPER}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


async def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - other processes set no event
            await asyncio.sleep(0.02)


def said(home: Home) -> Running:
    running = home.running()
    assert running is not None
    return running


async def test_steps_are_told_in_order_and_the_home_says_who_runs(home: Home) -> None:
    steps: list[str] = []
    supervisor = Supervisor(
        home, Settings(), parts=sleepers(home, TWO), progress=lambda step, seconds: steps.append(step)
    )
    async with supervisor as running:
        assert steps == [
            "fetch and verify Kafka",
            "start Kafka",
            "create the topics",
            "start Milvus",
            "prepare the models",
            "start the workers",
        ]
        assert (running.bootstrap, running.milvus_uri) == ("127.0.0.1:9092", "http://127.0.0.1:19530")
        assert said(home).ready
        assert {name: process.pid for name, process in said(home).processes.items()} == running.pids()
        assert set(running.pids()) == {"kafka", "milvus", "detect", "identify"}
        pids = running.pids()
    assert home.running() is None
    assert not any(psutil.pid_exists(pid) for pid in pids.values())


async def test_topics_find_kafkas_address_in_the_home(home: Home) -> None:
    seen: list[str] = []

    def prepare_topics() -> list[str]:
        seen.append(said(home).bootstrap)
        return ["faces: retention.ms is tighter"]

    async with Supervisor(home, Settings(), parts=sleepers(home, {}, prepare_topics=prepare_topics)):
        assert seen == ["127.0.0.1:9092"]


async def test_the_operators_own_services_are_not_started(home: Home) -> None:
    parts = sleepers(home, TWO, kafka=None, milvus=None, bootstrap="broker:9092", milvus_uri="http://milvus:19530")
    async with Supervisor(home, Settings(), parts=parts) as running:
        assert set(running.pids()) == {"detect", "identify"}
        assert (said(home).bootstrap, said(home).milvus_uri) == ("broker:9092", "http://milvus:19530")


async def test_a_dead_child_and_a_dead_broker_are_started_again(home: Home) -> None:
    async with Supervisor(home, Settings(), parts=sleepers(home, TWO)) as running:
        before = running.pids()
        running.kill("detect")
        running.kill("kafka")
        await until(lambda: running.restarts() == {"kafka": 1, "milvus": 0, "detect": 1, "identify": 0})
        after = running.pids()
        assert after["detect"] != before["detect"]
        assert after["kafka"] != before["kafka"]
        assert (after["identify"], after["milvus"]) == (before["identify"], before["milvus"])
        assert said(home).processes["detect"].pid == after["detect"]
        assert said(home).processes["detect"].restarts == 1


async def test_a_service_at_a_new_address_restarts_the_workers(home: Home) -> None:
    kafka = Served("127.0.0.1:9092", home.path / "logs" / "kafka.out")
    kafka.addresses.append("127.0.0.1:9999")
    async with Supervisor(home, Settings(), parts=sleepers(home, TWO, kafka=lambda: kafka)) as running:
        before = running.pids()
        running.kill("kafka")
        await until(lambda: said(home).bootstrap == "127.0.0.1:9999")
        await until(lambda: "detect" in running.pids() and running.pids()["detect"] != before["detect"])
        assert running.pids()["milvus"] == before["milvus"]


async def test_one_child_can_be_stopped_started_and_joined_by_another(home: Home) -> None:
    async with Supervisor(home, Settings(), parts=sleepers(home, TWO)) as running:
        await running.stop("detect")
        assert "detect" not in running.pids()
        assert "detect" not in said(home).processes
        await running.start("detect")
        assert await running.add("detect", "2") == "detect-2"
        assert {"detect", "detect-2"} <= set(said(home).processes)


async def test_a_second_supervisor_is_refused(home: Home) -> None:
    async with Supervisor(home, Settings(), parts=sleepers(home, TWO)) as running:
        with pytest.raises(HomeError, match=r"^pid \d+ already runs the home"):
            async with Supervisor(home, Settings(), parts=sleepers(home, TWO)):
                pass
        assert set(running.pids()) == {"kafka", "milvus", "detect", "identify"}
        assert said(home).ready


async def test_a_start_that_fails_ends_what_had_started(home: Home) -> None:
    kafka = Served("127.0.0.1:9092", home.path / "logs" / "kafka.out")

    def prepare_models() -> None:
        assert kafka.pid is not None
        raise ServiceUnavailable("no network")

    parts = sleepers(home, TWO, kafka=lambda: kafka, prepare_models=prepare_models)
    with pytest.raises(ServiceUnavailable, match="no network"):
        async with Supervisor(home, Settings(), parts=parts):
            pass
    assert kafka.pid is None
    assert home.running() is None


async def test_programs_end_before_milvus_and_milvus_before_kafka(home: Home) -> None:
    ends: list[str] = []

    class Ending(Served):
        async def stop(self) -> None:
            await super().stop()
            ends.append(f"{self.addresses[0]} after {sorted(name for name in running.pids())}")

    home.prepare()
    kafka, milvus = (Ending(name, home.logs / f"{name}.out") for name in ("kafka", "milvus"))
    parts = sleepers(home, TWO, kafka=lambda: kafka, milvus=lambda: milvus)
    async with Supervisor(home, Settings(), parts=parts) as running:
        began = time.monotonic()
    assert time.monotonic() - began < 10
    assert ends == ["milvus after ['kafka']", "kafka after []"]


async def test_a_killed_supervisor_takes_its_children_along(home: Home) -> None:
    home.prepare()
    parent = await asyncio.create_subprocess_exec(sys.executable, machines.__file__, str(home.path))
    try:
        await until(lambda: (running := home.running()) is not None and running.ready)
        pids = [process.pid for process in said(home).processes.values()]
        assert len(pids) == 4
    finally:
        parent.kill()
        await parent.wait()
    await until(lambda: not any(psutil.pid_exists(pid) for pid in pids))
    assert home.running() is None
    with home.owned():
        pass
