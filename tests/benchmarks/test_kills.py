"""Nothing is lost and nothing is told twice when any process is killed while frames flow."""

from collections.abc import Callable

import pytest

from pipeline.bench import Bench, Result, kills
from pipeline.machine.supervisor import KAFKA
from pipeline.topology import EXPIRE, STAGES

pytestmark = [pytest.mark.broker, pytest.mark.milvus]

# The first face ends a minute after it was seen: until then the others are killed.
IN_TURN = sorted(STAGES, key=EXPIRE.name.__eq__)


@pytest.mark.timeout(900)
async def test_killed_stages_and_a_killed_broker_lose_nothing(bench: Bench, show: Callable[[Result], None]) -> None:
    result = await kills.run(bench, kills=2, broker_kills=1, templates=(1_000,), stages=IN_TURN)
    show(result)
    assert {each.process for each in result.series} == {*STAGES, KAFKA}
    assert result.faces > 0
    assert result.lost == 0
    assert result.duplicated == 0
