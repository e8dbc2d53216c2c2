"""Every rule of the deletion protocol, broken in the real code, is caught: a deleted person is still named."""

import pytest

from pipeline.bench.simulation.running import run_seed
from tests.pipeline.bench.simulation.planted_in_erasing import PLANTED_IN_ERASING, Plant


@pytest.mark.parametrize("plant", PLANTED_IN_ERASING, ids=lambda plant: plant.__name__)
def test_a_broken_rule_is_caught(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    first, most = PLANTED_IN_ERASING[plant]
    plant(monkeypatch)
    for seed in range(first, first + most):
        broken = [told for told in run_seed(seed).broken if told.startswith("I3")]
        if broken:
            print(f"seed {seed}: {broken[0]}")  # noqa: T201 - how soon, and how
            return
    pytest.fail(f"{plant.__name__} went unnoticed through {most} seeds")
