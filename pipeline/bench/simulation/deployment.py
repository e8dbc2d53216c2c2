"""The processes of a simulated machine: each stage in its real shell, started again by a supervisor when it ends."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

from aiokafka.errors import KafkaError  # type: ignore[import-untyped]
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connectors import kafka
from connectors.kafka import KafkaAccess, Library
from connectors.kafka_admin import KafkaAdmin
from models.catalogue import Catalogue
from pipeline.bench.simulation.admin import SimulatedAdmin
from pipeline.bench.simulation.broker import SimulatedBroker
from pipeline.bench.simulation.consumer import SimulatedConsumer
from pipeline.bench.simulation.gallery import SimulatedGallery
from pipeline.bench.simulation.keys import SimulatedKeys, SimulatedRows
from pipeline.bench.simulation.loop import LIFE, Life, VirtualLoop
from pipeline.bench.simulation.producer import SimulatedProducer
from pipeline.keeper import Keeper
from pipeline.keeper.upkeep import Upkeeper
from pipeline.receipts import Signer
from pipeline.records import Bound, Face, Identification
from pipeline.shell.attempts import MOST, Attempts
from pipeline.shell.desk import Desk
from pipeline.shell.meter import Meter
from pipeline.shell.replay import Replay
from pipeline.stages.contract import KeptStage
from pipeline.stages.control import Control
from pipeline.stages.erase import Erase
from pipeline.stages.expire import Expire
from pipeline.stages.identify import Identify, Probe
from pipeline.stages.withdrawal import Withdrawal
from pipeline.topology import STAGES, Deployment, Scale
from pipeline.views import Follower, LiveSet
from pipeline.wiring.galleries import Templates

BEGINNING = datetime.fromisoformat("2026-01-01T12:00:00+00:00")
SCALE = Scale(streams=2, tables=1)
DEPLOYMENT = Deployment(SCALE)
INSTANCES = ("control-0", "identify-0", "identify-1", "expire-0", "erase-0")
# Who is there besides, in what share of the worlds.
SPARE = {"control-1": 0.4, "identify-2": 0.75, "erase-1": 0.4}
# Which of its calls a struck process dies of: so many that a record is condemned for it, and one after a call that it
# has survived.
BLOWS = frozenset({*range(1, MOST + 1), MOST + 2})
PACK = "dlib"
# Longer than a night: who is deleted in the morning has to be withdrawn from what was told in the evening.
TOLD = timedelta(hours=47)
SIGNER = Signer(Ed25519PrivateKey.from_private_bytes(bytes(32)).sign, "simulated")


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


@dataclass(frozen=True)
class WatchedIdentify(Identify):
    """Tells of every face about which it decides, at that moment."""

    decided: Callable[[Face], None] = field(kw_only=True)

    def decide(self, probe: Probe, now: datetime) -> Identification:
        self.decided(probe.face)
        return super().decide(probe, now)


@dataclass
class Machine:
    """What the processes share, and the lives they have now. `skew` is how far each one's clock is off, in seconds.

    `passed` is time that went by without an event.
    """

    loop: VirtualLoop
    chance: random.Random
    broker: SimulatedBroker
    rows: SimulatedRows
    gallery: SimulatedGallery
    catalogue: Catalogue
    meter: Meter
    skew: dict[str, float]
    decided: Callable[[Face], None]
    lives: dict[str, Life] = field(default_factory=dict)
    consumers: dict[str, list[SimulatedConsumer]] = field(default_factory=dict)
    restarts: int = 0
    passed: timedelta = timedelta()
    away: set[str] = field(default_factory=set)
    struck: frozenset[str] = frozenset()
    _blows: Counter[str] = field(default_factory=Counter)
    _notes: dict[str, SimulatedNote] = field(default_factory=dict)

    def __post_init__(self) -> None:
        library = Library(partial(SimulatedProducer, self.broker), self._consumer)
        self.access = KafkaAccess("simulated:0", library=library)
        self.rows.heard = partial(self.strike, "control")

    def _consumer(self, **options: Any) -> SimulatedConsumer:
        made = SimulatedConsumer(self.broker, **options)
        life = LIFE.get()
        if life is not None:
            self.consumers.setdefault(life.name, []).append(made)
        return made

    def now(self, name: str = "") -> datetime:
        """A process's clock; the true one without a name."""
        return BEGINNING + self.passed + timedelta(seconds=self.loop.time() + self.skew.get(name, 0.0))

    def keys(self, name: str = "") -> SimulatedKeys:
        """The key store, as one process has it."""
        return SimulatedKeys(self.rows, lambda: self.now(name), self.loop.time)

    def strike(self, stage: str) -> None:
        """SIGKILL whoever calls, if it is of this stage and that is `struck`: see `BLOWS`."""
        life = LIFE.get()
        if life is None or stage not in self.struck or not life.name.startswith(stage):
            return
        self._blows[life.name] += 1
        if self._blows[life.name] in BLOWS:
            life.kill()
        if self._blows[life.name] == MOST:
            self.broker.saw(f"{stage} died over one deletion until others are condemned")

    def start(self, name: str) -> None:
        """Begin a new life of a process."""
        life = self.lives[name] = Life(self.loop, name)
        self.consumers[name] = []
        life.start(self._live(name, life))

    async def _live(self, name: str, life: Life) -> None:
        attempts = Attempts(cast(Path, self._notes.setdefault(name, SimulatedNote())))
        try:
            await self._keeper(name, attempts).run(asyncio.Event())
        except Exception as error:
            self.broker.saw(f"ended by {type(error).__name__}")
            # As `pipeline.process` does.
            if isinstance(error, KafkaError):
                attempts.acquit()
        finally:
            # Nothing of a process survives its end.
            self.loop.call_soon(life.kill)

    def _keeper(self, name: str, attempts: Attempts) -> Keeper:
        node = STAGES[name.partition("-")[0]]
        keys, clock = self.keys(name), partial(self.now, name)
        replay, stage = (
            Replay(DEPLOYMENT, self._reader, lambda: kafka.consumer(self.access, committed=False), clock),
            self._stage(node.name, keys),
        )
        desk: Desk[KeptStage[Any, Any]] = Desk(stage, DEPLOYMENT, attempts, clock, replay)
        tables = None
        if node.follows:
            tables = Follower(self._reader(), DEPLOYMENT, node.follows, stage.follow, clock=clock)
        upkeep = self._upkeep(stage, replay, tables, clock) if tables and isinstance(stage, Erase) else None
        return Keeper(desk, self.access, keys, self.meter, instance=name, tables=tables, upkeep=upkeep)

    def _upkeep(self, stage: Erase, replay: Replay, tables: Follower, clock: Callable[[], datetime]) -> Upkeeper:
        withdrawal = Withdrawal(stage.live, stage.positions, "erase")
        admin = cast(KafkaAdmin, SimulatedAdmin(self.broker))
        return Upkeeper(self.access, replay, withdrawal, tables, admin, clock, self.loop.time)

    def _reader(self) -> Any:
        return kafka.consumer(self.access)

    def _stage(self, name: str, keys: SimulatedKeys) -> Any:
        match name:
            case "erase":
                return Erase(SCALE.streams, LiveSet(), SIGNER, self._bounds)
            case "control":
                return Control(portion=1)
            case "expire":
                return Expire(sweep=timedelta(seconds=1))
            case _:
                return WatchedIdentify(
                    gallery=self.gallery,
                    live=LiveSet(),
                    thresholds={PACK: 0.5},
                    open_template=Templates(cast(Any, keys), self.catalogue).of_face,
                    keep=TOLD,
                    decided=self.decided,
                )

    def _bounds(self) -> tuple[Bound, ...]:
        """Asked for when a receipt is about to be signed."""
        self.strike("erase")
        return ()

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
        self.broker.slow_fences.clear()
        for group in self.broker.groups.all().values():
            group.hear_again()
        for name, life in self.alive():
            for consumer in self.consumers.get(name, ()):
                consumer.stall(0.0)
            life.resume()
