"""The processes of a simulated machine: each stage in its real shell, started again by a supervisor when it ends."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

from connectors import kafka
from connectors.kafka import KafkaAccess, Library
from models.catalogue import Catalogue
from pipeline.bench.simulation.broker import SimulatedBroker
from pipeline.bench.simulation.consumer import SimulatedConsumer
from pipeline.bench.simulation.gallery import SimulatedGallery
from pipeline.bench.simulation.keys import SimulatedKeys, SimulatedRows
from pipeline.bench.simulation.loop import LIFE, Life, VirtualLoop
from pipeline.bench.simulation.producer import SimulatedProducer
from pipeline.keeper import Keeper
from pipeline.shell.attempts import Attempts
from pipeline.shell.desk import Desk
from pipeline.shell.meter import Meter
from pipeline.shell.replay import Replay
from pipeline.stages.contract import KeptStage
from pipeline.stages.control import Control
from pipeline.stages.expire import Expire
from pipeline.stages.identify import Identify
from pipeline.topology import STAGES, Deployment, Scale
from pipeline.views import Follower, LiveSet
from pipeline.wiring.galleries import Templates

BEGINNING = datetime.fromisoformat("2026-01-01T12:00:00+00:00")
SCALE = Scale(streams=2, tables=1)
DEPLOYMENT = Deployment(SCALE)
INSTANCES = ("control-0", "control-1", "identify-0", "identify-1", "expire-0")
PACK = "dlib"


class SimulatedNote:
    """The file of `Attempts`, which outlives the process."""

    def __init__(self) -> None:
        self._text: str | None = None

    def read_text(self) -> str:
        if self._text is None:
            raise FileNotFoundError
        return self._text

    def write_text(self, text: str) -> None:
        life = LIFE.get()
        if life is None or not life.dead:
            self._text = text


@dataclass
class Machine:
    """What the processes share, and the lives they have now. `skew` is how far each one's clock is off, in seconds."""

    loop: VirtualLoop
    chance: random.Random
    broker: SimulatedBroker
    rows: SimulatedRows
    gallery: SimulatedGallery
    catalogue: Catalogue
    meter: Meter
    skew: dict[str, float]
    lives: dict[str, Life] = field(default_factory=dict)
    consumers: dict[str, list[SimulatedConsumer]] = field(default_factory=dict)
    restarts: int = 0
    away: set[str] = field(default_factory=set)
    _notes: dict[str, SimulatedNote] = field(default_factory=dict)

    def __post_init__(self) -> None:
        library = Library(partial(SimulatedProducer, self.broker), self._consumer)
        self.access = KafkaAccess("simulated:0", library=library)

    def _consumer(self, **options: Any) -> SimulatedConsumer:
        made = SimulatedConsumer(self.broker, **options)
        life = LIFE.get()
        if life is not None:
            self.consumers.setdefault(life.name, []).append(made)
        return made

    def now(self, name: str = "") -> datetime:
        """A process's clock; the true one without a name."""
        return BEGINNING + timedelta(seconds=self.loop.time() + self.skew.get(name, 0.0))

    def keys(self, name: str = "") -> SimulatedKeys:
        """The key store, as one process has it."""
        return SimulatedKeys(self.rows, lambda: self.now(name), self.loop.time)

    def start(self, name: str) -> None:
        """Begin a new life of a process."""
        life = self.lives[name] = Life(self.loop, name)
        self.consumers[name] = []
        life.start(self._live(name, life))

    async def _live(self, name: str, life: Life) -> None:
        try:
            await self._keeper(name).run(asyncio.Event())
        except Exception as error:
            self.broker.saw(f"ended by {type(error).__name__}")
        finally:
            # Nothing of a process survives its end.
            self.loop.call_soon(life.kill)

    def _keeper(self, name: str) -> Keeper:
        node = STAGES[name.partition("-")[0]]
        keys, live, clock = self.keys(name), LiveSet(), partial(self.now, name)
        attempts = Attempts(cast(Path, self._notes.setdefault(name, SimulatedNote())))
        stage, replay = self._stage(node.name, keys, live), Replay(DEPLOYMENT, self._reader)
        desk = Desk(stage, DEPLOYMENT, attempts, clock, replay)
        follow = stage.follow if isinstance(stage, Identify) else live.apply
        tables = Follower(self._reader(), DEPLOYMENT, node.follows, follow) if node.follows else None
        return Keeper(desk, self.access, keys, self.meter, instance=name, tables=tables)

    def _reader(self) -> Any:
        return kafka.consumer(self.access)

    def _stage(self, name: str, keys: SimulatedKeys, live: LiveSet) -> KeptStage[Any, Any]:
        match name:
            case "control":
                return Control()
            case "expire":
                return Expire(sweep=timedelta(seconds=1))
            case _:
                return Identify(
                    gallery=self.gallery,
                    live=live,
                    thresholds={PACK: 0.5},
                    open_template=Templates(cast(Any, keys), self.catalogue).of_face,
                )

    def alive(self) -> Iterator[tuple[str, Life]]:
        """The processes that are there now."""
        for name, life in list(self.lives.items()):
            if not life.dead:
                yield name, life

    async def supervise(self) -> None:
        """Start again whatever has ended, unless somebody keeps it away."""
        while True:
            await asyncio.sleep(0.2)
            for name, life in list(self.lives.items()):
                if life.dead and name not in self.away:
                    self.restarts += 1
                    self.start(name)

    def of_stage(self, stage: str) -> list[str]:
        """The instances of a stage."""
        return [name for name in self.lives if name.startswith(f"{stage}-")]

    def restore(self) -> None:
        """The end of every fault."""
        self.away.clear()
        for _, life in self.alive():
            life.resume()
