"""Nobody is named after the acknowledgement of the deletion, whatever is killed and whoever hangs meanwhile."""

from collections.abc import Callable

import pytest

from pipeline.bench import Bench, Result, soak
from pipeline.bench.blows import HANG, Blow
from pipeline.machine.supervisor import KAFKA

pytestmark = [pytest.mark.broker, pytest.mark.milvus]

KINDS = (HANG, *(Blow(process) for process in ("identify", "control", "erase", KAFKA)))


@pytest.mark.timeout(900)
async def test_persons_in_view_are_forgotten_while_processes_are_killed(
    bench: Bench, show: Callable[[Result], None]
) -> None:
    result = await soak.run(bench, minutes=10.0, kills_per_minute=12.0, deletions=20, kinds=KINDS)
    show(result)
    assert {each.blow for each in result.struck} == set(KINDS)
    assert result.fences > 0
    assert result.seen > 0
    assert result.sound, result
