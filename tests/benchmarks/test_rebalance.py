"""Nothing is lost and nothing is done twice when a second worker joins each stage under load and leaves it again."""

from collections.abc import Callable

import pytest

from pipeline.bench import Bench, Result, rebalance
from pipeline.topology import STAGES

pytestmark = [pytest.mark.broker, pytest.mark.milvus]


@pytest.mark.timeout(1200)
async def test_a_second_worker_of_each_stage_joins_and_leaves_and_loses_nothing(
    bench: Bench, show: Callable[[Result], None]
) -> None:
    result = await rebalance.run(bench, times=1)
    show(result)
    assert [visit.stage for visit in result.visits] == list(STAGES)
    assert result.faces > 0
    assert result.templates > 0
    assert result.sound, result
