"""The seeds reach what seldom happens: each named state, counted; and the promises hold there, too."""

import pytest

from pipeline.bench.simulate import Simulated
from pipeline.bench.simulation.report import RARE
from pipeline.bench.simulation.running import run_seed

FIRST, SEEDS = 200, 120
# The first test runs all the seeds: 20 s on two processors that have nothing else to do.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def found() -> Simulated:
    found = Simulated(FIRST, wall=1.0)
    for seed in range(FIRST, FIRST + SEEDS):
        found.add(run_seed(seed))
    return found


def test_no_promise_is_broken(found: Simulated) -> None:
    assert found.broken == {}
    assert found.seeds == SEEDS


@pytest.mark.parametrize("state", RARE)
def test_a_rare_state_is_reached(state: str, found: Simulated) -> None:
    assert found.states[state] > 0


def test_deletions_were_asked_for_and_acknowledged(found: Simulated) -> None:
    assert found.totals["acknowledged"] > 5 * SEEDS
    assert found.totals["named"] > 5 * SEEDS
