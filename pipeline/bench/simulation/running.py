"""Runs seeds: each in a loop of its own, which nothing outlives."""

import asyncio
import gc
import logging
import random
from functools import cache

from models.catalogue import Catalogue, load_catalogue
from pipeline.bench.simulation.loop import VirtualLoop
from pipeline.bench.simulation.report import Report
from pipeline.bench.simulation.world import World
from pipeline.metrics import Metrics
from pipeline.shell.meter import Meter

COLLECT_EVERY = 20


@cache
def _shared() -> tuple[Catalogue, Meter]:
    return load_catalogue(), Meter(Metrics("simulation"), "simulated", "simulated")


def run_seed(seed: int, *, strict: bool = True, kind: type[World] = World) -> Report:
    """One seed of a world, from the beginning to the promises."""
    catalogue, meter = _shared()
    loop = VirtualLoop(random.Random(f"{seed}/threads"))  # noqa: S311 - a schedule
    # What a garbage collection ends, it ends at a moment of its own choice.
    gc.disable()
    try:
        report = loop.run_until_complete(kind(seed, loop, catalogue, meter, strict=strict).run())
    finally:
        _end(loop)
        gc.enable()
    if loop.failure is not None:
        raise loop.failure
    return report


def _end(loop: VirtualLoop) -> None:
    for task in asyncio.all_tasks(loop):
        task.cancel()
    left = asyncio.all_tasks(loop)
    if left:
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def quiet() -> None:
    """What dying processes say belongs on no terminal: here it is what was asked for."""
    for name in ("pipeline", "connectors", "aiokafka", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
