"""The whole protocol under faults in virtual time: any number of seeds, and what was promised at the end of each."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from pipeline.bench import Bench, Row
from pipeline.bench.simulation.report import RARE, Report
from pipeline.bench.simulation.running import quiet, run_seed

NAME = "simulation"
SHOWN = 5


@dataclass
class Simulated:
    """What the seeds came to, added up."""

    first: int
    seeds: int = 0
    wall: float = 0.0
    totals: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    broken: dict[int, tuple[str, ...]] = field(default_factory=dict)
    patience: float = 0.0

    def add(self, report: Report) -> None:
        """Take one seed into account."""
        self.seeds += 1
        self.states.update(report.states)
        for name in ("steps", "faces", "named", "deletions", "acknowledged", "ghosts", "restarts"):
            self.totals[name] += getattr(report, name)
        self.totals["milliseconds"] += round(report.seconds * 1000)
        self.patience = max(self.patience, report.patience)
        if report.broken:
            self.broken[report.seed] = report.broken

    @property
    def sound(self) -> bool:
        return not self.broken

    def rows(self) -> list[Row]:
        totals = self.totals
        last = self.first + self.seeds - 1
        rows = [
            Row(NAME, "seeds", f"{self.seeds} ({self.first} to {last}), {self.seeds / self.wall:.1f} per second"),
            Row(NAME, "requests to Kafka that took effect", str(totals["steps"])),
            Row(NAME, "time simulated", f"{totals['milliseconds'] / 3_600_000:.1f} h"),
            Row(NAME, "faces shown, identifications that name", f"{totals['faces']}, {totals['named']}"),
            Row(NAME, "processes started again", str(totals["restarts"])),
            Row(NAME, "deletions asked for, acknowledged", f"{totals['deletions']}, {totals['acknowledged']}"),
            Row(NAME, "longest wait for an acknowledgement", f"{self.patience:.1f} s"),
            Row(NAME, "named after the acknowledgement", str(totals["ghosts"]), "0", totals["ghosts"] == 0),
            Row(NAME, "seeds with a broken promise", str(len(self.broken)), "0", not self.broken),
        ]
        rows += [Row(NAME, f"seed {seed}", told[0]) for seed, told in islice(sorted(self.broken.items()), SHOWN)]
        return rows + [Row(NAME, state, str(self.states[state]), ">= 1", self.states[state] > 0) for state in RARE]


async def run(bench: Bench, *, seeds: int, first: int = 0) -> Simulated:
    """Run `seeds` seeds from `first` on, on every processor."""
    found, began = Simulated(first), time.monotonic()
    async for report in _reports(range(first, first + seeds)):
        found.add(report)
        bench.tell(f"seed {first + found.seeds} of {first + seeds}, {len(found.broken)} with a broken promise")
    found.wall = time.monotonic() - began
    return found


async def _reports(seeds: range) -> AsyncIterator[Report]:
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(os.cpu_count(), initializer=quiet) as pool:
        ahead = iter(seeds)
        running = [loop.run_in_executor(pool, partial(run_seed, seed)) for seed in _next(ahead)]
        while running:
            yield await running.pop(0)
            running += [loop.run_in_executor(pool, partial(run_seed, seed)) for seed in islice(ahead, 1)]


def _next(ahead: Iterator[int]) -> Iterator[int]:
    return islice(ahead, 4 * (os.cpu_count() or 1))
