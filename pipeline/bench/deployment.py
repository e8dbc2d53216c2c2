"""A deployment of its own for a benchmark: real processes in a home that goes with the benchmark's folder."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from pipeline import wiring
from pipeline.balance import Books, balances, read_books
from pipeline.bench import Bench
from pipeline.home import Home
from pipeline.machine.programs import capture_name, machine
from pipeline.machine.supervised import Program
from pipeline.machine.supervisor import Supervisor
from pipeline.operations import Unanswered
from pipeline.operations.client import Client
from pipeline.settings import API, FILE, Settings, load
from pipeline.topology import STAGES
from pipeline.wiring.asking import client, reader

PRINCIPAL = "operator/bench"
DRAIN_SECONDS = 120.0
LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Deployed:
    """A deployment that runs. Its cameras do not, until somebody starts their programs."""

    bench: Bench
    home: Home
    settings: Settings
    running: Supervisor
    cameras: Mapping[str, Program]

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """A client of `control`."""
        access = wiring.kafka_access(self.settings, self.home)
        with closing(wiring.key_store(self.settings, self.home)) as keys:
            async with client(access, self.settings.deployment(), keys, PRINCIPAL) as opened:
                yield opened

    async def books(self) -> Books:
        """What ledger, gaps and dead letters say now."""
        access = wiring.kafka_access(self.settings, self.home)
        return await read_books(lambda: reader(access), self.settings.deployment(), self.settings.now)

    async def drained(self) -> Books:
        """The books, once every session is closed and every frame accounted for, or after two minutes as they are."""
        deadline = asyncio.get_running_loop().time() + DRAIN_SECONDS
        while True:
            books = await self.books()
            settled = all(fates.closed for fates in books.sessions.values())
            holds = settled and all(each.holds for each in balances(books).values())
            if holds or asyncio.get_running_loop().time() > deadline:
                return books
            await asyncio.sleep(0.3)

    async def played(self, camera: str) -> None:
        """Let a file camera run to its end, and wait until its frames are accounted for."""
        program = self.cameras[camera]
        await program.start()
        status = await program.wait()
        if status != 0:
            raise Unanswered(f"the camera {camera} of the benchmark ended with status {status}: see {self.home.logs}")
        await self.drained()


@asynccontextmanager
async def deployed(
    bench: Bench,
    pack: str,
    cameras: Sequence[Mapping[str, Any]] = (),
    *,
    stages: Callable[[str], bool] = lambda _: True,
    api: bool = False,
    tables: Mapping[str, Mapping[str, Any]] | None = None,
) -> AsyncIterator[Deployed]:
    """Start a deployment with the stages and the API that are wanted.

    `cameras` and `tables` are as in the settings file.
    """
    bench.folder.mkdir(parents=True, exist_ok=True)
    home = Home(Path(tempfile.mkdtemp(prefix=f"{pack}-", dir=bench.folder)))
    home.prepare()
    models = {"pack": pack, "cache": str(bench.cache)}
    if bench.weights is not None:
        models["source"] = str(bench.weights.absolute())
    (home.path / FILE).write_text("\n".join(_toml({"models": models, **(tables or {})}, cameras)), encoding="utf-8")
    settings = load(home.path)
    parts = machine(home, settings)
    programs = {
        name: program
        for name, program in parts.programs.items()
        if (name in STAGES and stages(name)) or (api and name == API)
    }
    own = {camera.name: parts.programs[capture_name(camera)] for camera in settings.cameras}
    milvus = parts.milvus if {"identify", "enrol", API} & programs.keys() else None

    def progress(step: str, _: float) -> None:
        bench.tell(f"{step}: done")

    started = replace(parts, programs=programs, milvus=milvus)
    try:
        async with Supervisor(home, settings, progress=progress, parts=started) as running:
            yield Deployed(bench, home, settings, running, own)
    finally:
        await asyncio.gather(*(program.stop() for program in own.values()))


def _toml(tables: Mapping[str, Mapping[str, Any]], cameras: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    # A JSON text, number, truth value or list of them is a TOML one as well.
    headed = [(f"[{name}]", table) for name, table in tables.items()] + [("[[camera]]", camera) for camera in cameras]
    for heading, table in headed:
        yield heading
        yield from (f"{key} = {json.dumps(value)}" for key, value in table.items())


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used so far, in user and in system mode, of all its threads."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


async def until(holds: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Wait until something another process causes is seen; Unanswered, naming it, after `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            while not holds():  # noqa: ASYNC110 - other processes set no event
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        raise Unanswered(f"the benchmark waited {seconds:g} s for {what}: see the logs with --keep") from None
