"""What a deployment promises holds under faults, seed by seed; a failure names its seed, which then fails again."""

import json
import os
import subprocess
import sys

import pytest

from pipeline.bench.simulation.running import run_seed

SEEDS = 200
AT_ONCE = 20


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_no_promise_is_broken(first: int) -> None:
    for seed in range(first, first + AT_ONCE):
        assert run_seed(seed).broken == (), f"seed {seed}: faceline bench simulate --seeds 1 --first {seed}"


def test_what_was_aborted_is_not_waited_for() -> None:
    """An aborted transaction at the end of a topic is never read."""
    assert run_seed(116614).broken == ()


SCRIPT = """
import json, sys
from pipeline.bench.simulation.running import run_seed
print(json.dumps([run_seed(int(seed)).digest for seed in sys.argv[1:]]))
"""


def test_a_seed_is_one_run_to_the_byte() -> None:
    """Also in another process, where Python hashes strings in another order."""
    seeds = [1, 2, 6]
    here = [run_seed(seed).digest for seed in seeds]
    assert here == [run_seed(seed).digest for seed in seeds]
    assert len(set(here)) == len(seeds)
    there = subprocess.run(
        [sys.executable, "-c", SCRIPT, *map(str, seeds)],
        env=os.environ | {"PYTHONHASHSEED": "4711"},
        capture_output=True,
        check=True,
        text=True,
    )
    assert json.loads(there.stdout) == here
