"""The benchmark adds seeds up, and calls a seed with a broken promise unsound."""

import asyncio
from dataclasses import replace
from pathlib import Path

from pipeline.bench import Bench
from pipeline.bench.simulate import Simulated, run
from pipeline.bench.simulation.running import run_seed


def test_seeds_are_added_up_from_every_process(tmp_path: Path) -> None:
    found = asyncio.run(run(Bench(tmp_path, tmp_path), seeds=3, first=7))
    assert found.seeds == 3
    assert found.sound
    assert found.totals["faces"] == sum(run_seed(seed).faces for seed in (7, 8, 9))
    rows = {row.what: row for row in found.rows()}
    assert rows["seeds"].value.startswith("3 (7 to 9), ")
    assert rows["seeds with a broken promise"].met


def test_one_broken_promise_is_unsound_and_names_its_seed() -> None:
    found = Simulated(7, wall=1.0)
    found.add(replace(run_seed(7), broken=("I3: somebody", "I1: something")))
    assert not found.sound
    rows = {row.what: row for row in found.rows()}
    assert rows["seed 7"].value == "I3: somebody"
