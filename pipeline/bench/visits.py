"""A second worker of a stage: it joins, is killed and comes back, is asked to end, and its stage goes on without it."""

import asyncio
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from pipeline import wiring
from pipeline.bench.deployment import Deployed, until
from pipeline.metrics import LOOPBACK, RECORDS
from pipeline.operations import Unanswered
from pipeline.topology import STAGES

SECOND = "1"
CHANGE_SECONDS = 90.0
LOOK_SECONDS = 0.1
ANSWER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Visit:
    """How long each change took, in seconds.

    `joined`: from the second worker's start to its first record; `returned`: from its kill to the first record of its
    next life; `replaced`: from the request to end until every partition had gone on without it.
    """

    stage: str
    joined: float
    returned: float
    replaced: float


@dataclass(slots=True)
class Visitor:
    """Has second workers come and go in a deployment whose stages all have something to do, in every partition."""

    deployment: Deployed

    async def visit(self, stage: str) -> Visit:
        """One worker's visit; Unanswered where it never gets work, or its partitions stand still after its end."""
        running, tell = self.deployment.running, self.deployment.bench.tell
        began = time.monotonic()
        tell(f"a second {stage} joins")
        name = await running.add(stage, SECOND)
        await self._works(name)
        joined = time.monotonic()
        tell(f"the second {stage} is killed")
        killed = running.pids()[name]
        running.kill(name)
        await until(lambda: running.pids().get(name, killed) != killed, f"{name} to start again", CHANGE_SECONDS)
        await self._works(name)
        returned = time.monotonic()
        tell(f"the second {stage} leaves")
        await running.stop(name)
        await self._goes_on(stage)
        return Visit(stage, joined - began, returned - joined, time.monotonic() - returned)

    async def _works(self, name: str) -> None:
        await self._seen(lambda: self._finished(name) > 0, f"{name} to finish a record")

    async def _goes_on(self, stage: str) -> None:
        before = await asyncio.to_thread(self._committed, stage)

        def everywhere() -> bool:
            now = self._committed(stage)
            return all(now.get(partition, 0) > offset for partition, offset in before.items())

        await self._seen(everywhere, f"every partition of {stage} to go on")

    async def _seen(self, holds: Callable[[], bool], what: str) -> None:
        """As `until`, for a look that blocks."""
        try:
            async with asyncio.timeout(CHANGE_SECONDS):
                while not await asyncio.to_thread(holds):  # noqa: ASYNC110 - other processes set no event
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError:
            raise Unanswered(
                f"the benchmark waited {CHANGE_SECONDS:g} s for {what}: see the logs with --keep"
            ) from None

    def _finished(self, name: str) -> float:
        """Records that the process in its present life has finished, as it says itself."""
        running = self.deployment.home.running()
        process = None if running is None else running.processes.get(name)
        if process is None or not process.metrics_port:
            return 0.0
        address = f"http://{LOOPBACK}:{process.metrics_port}/metrics"
        try:
            with urllib.request.urlopen(address, timeout=ANSWER_SECONDS) as answer:
                families = list(text_string_to_metric_families(answer.read().decode()))
        except OSError:
            return 0.0
        return sum(
            sample.value
            for family in families
            if family.name == RECORDS
            for sample in family.samples
            if sample.name.endswith("_total")
        )

    def _committed(self, stage: str) -> Mapping[int, int]:
        settings = self.deployment.settings
        plan, node = settings.deployment(), STAGES[stage]
        with closing(wiring.admin(settings, self.deployment.home)) as admin:
            return admin.committed(plan.group(node), plan.name(node.input))
