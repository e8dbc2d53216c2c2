"""Every planted fault is caught, by the promise that it breaks, within the seeds that are said beside it."""

import pytest

from pipeline.bench.simulation.running import run_seed
from tests.pipeline.bench.simulation.planted import PLANTED, Plant


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_caught(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    promise, first, most = PLANTED[plant]
    plant(monkeypatch)
    for seed in range(first, first + most):
        broken = [told for told in run_seed(seed).broken if told.startswith(promise)]
        if broken:
            print(f"seed {seed}: {broken[0]}")  # noqa: T201 - how soon, and how
            return
    pytest.fail(f"{plant.__name__} went unnoticed through {most} seeds")
