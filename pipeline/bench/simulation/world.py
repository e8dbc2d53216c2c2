"""One run: two days of a small deployment in which everything goes wrong, a night, and the promises at the end."""

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from models.catalogue import Catalogue
from pipeline.bench.simulation.broker import Pace, SimulatedBroker
from pipeline.bench.simulation.checker import Checker
from pipeline.bench.simulation.deployment import DEPLOYMENT, INSTANCES, SCALE, SPARE, Machine
from pipeline.bench.simulation.faults import Faults
from pipeline.bench.simulation.gallery import SimulatedGallery
from pipeline.bench.simulation.keys import SimulatedRows
from pipeline.bench.simulation.log import Entry, Partition
from pipeline.bench.simulation.loop import VirtualLoop
from pipeline.bench.simulation.night import Night
from pipeline.bench.simulation.people import GUESTS, PEOPLE, STAFF, SUBJECTS, People, people
from pipeline.bench.simulation.report import Report
from pipeline.operations import Refused, Unanswered
from pipeline.records import Face
from pipeline.shell.meter import Meter
from pipeline.topology import COMMANDS, FACES, GATE, IDENTIFY, OPERATIONS, PERSONS, STAGES, TOPICS, Topic

CAMERAS = ("door", "gate", "hall", "yard", "lift", "porch")
REST_S = 60.0


class World:
    """Everything that one seed decides."""

    def __init__(self, seed: int, loop: VirtualLoop, catalogue: Catalogue, meter: Meter, *, strict: bool) -> None:
        self.seed = seed
        self.chance = random.Random(f"{seed}/world")  # noqa: S311 - a schedule
        self.loop = loop
        # One world in six is calm: there the promises have to hold without an excuse.
        self.rough = seed % 6 != 0
        rows = SimulatedRows(seed)
        self.digest = hashlib.sha256()
        self.states: Counter[str] = Counter()
        network = random.Random(f"{seed}/network")  # noqa: S311 - a schedule
        slowest = self.chance.choice((0.05, 0.5, 3.0, 6.0)) if self.rough else 0.02
        self.broker = SimulatedBroker(
            loop,
            network,
            {topic.name: (SCALE.partitions(topic), self.settings(topic)) for topic in TOPICS},
            lambda: round(self.machine.now().timestamp() * 1000),
            self._heard,
            self._appended,
            Pace(
                self.chance.choice((15.0, 5.0)),
                self.chance.choice((0.02, 0.05)),
                slowest,
                self.chance.choice((2.0, 8.0, 8.0, 8.0)),
            ),
            self.states,
        )
        self.checker = Checker(rows.lives, self.broker.saw, strict)
        gallery = SimulatedGallery(random.Random(f"{seed}/gallery"), self._proposed)  # noqa: S311 - a schedule
        self.names = (*INSTANCES, *(name for name, share in SPARE.items() if self.chance.random() < share))
        skew = {name: self.chance.uniform(-0.5, 0.5) if self.rough else 0.0 for name in self.names}
        self.machine = Machine(loop, self.chance, self.broker, rows, gallery, catalogue, meter, skew, self._decided)

    def settings(self, topic: Topic) -> Mapping[str, str]:
        """As on the map, but that segments close within a run."""
        return topic.settings() | {"segment.ms": "500", "max.compaction.lag.ms": "500"}

    def _heard(self, partition: Partition, entries: Iterable[Entry]) -> None:
        told = list(entries)
        if partition.topic == PERSONS.name and any(entry.value is None for entry in told):
            group = self.broker.groups.all().get(DEPLOYMENT.group(IDENTIFY))
            if group is not None and group.is_rebalancing:
                self.broker.saw("a person's tombstone during a takeover")
        if partition.topic == GATE.name and self._waits_for_a_thread(partition.number):
            self.broker.saw("a watermark went while its owner waited for a thread")
        self.checker.heard(partition, told)

    def _waits_for_a_thread(self, partition: int) -> bool:
        group = self.broker.groups.all().get(DEPLOYMENT.group(IDENTIFY))
        owner = None if group is None else group.owner(partition)
        return owner is not None and self.loop.slowed[owner] > 0

    def _appended(self, partition: Partition, key: bytes | None, value: bytes | None) -> None:
        self.digest.update(f"{partition.topic}/{partition.number}@{partition.end} {self.loop.time():.9f}".encode())
        self.digest.update(key or b"-")
        self.digest.update(value or b"-")
        self.checker.appended(partition, key, value)

    def _decided(self, face: Face) -> None:
        self.checker.decided(face.face_id, self.machine.now())

    def _proposed(self, person_id: str) -> None:
        if person_id in self.checker.gone:
            self.broker.saw("the gallery proposed somebody who is gone")

    async def run(self) -> Report:
        """Live through all of it."""
        for name in self.names:
            self.machine.start(name)
        supervisor = asyncio.create_task(self.machine.supervise())
        async with people(self.machine, self.chance, self.checker) as crowd:
            await crowd.open_collection(PEOPLE)
            await crowd.open_collection(GUESTS)
            await self._day(crowd, self.chance.uniform(2.0, 5.0))
            if self.chance.random() < 0.5:
                # By the morning every face has expired, and nobody would ask any more what became of it.
                self.checker.rest(self.machine.now())
                await Night(self.machine, self.chance, crowd).pass_by()
                self.broker.pace = self._rough
                await self._day(crowd, self.chance.uniform(1.0, 2.5))
            await asyncio.gather(*(self._canary(crowd, number) for number in range(SCALE.streams)))
            await self._strike(crowd)
            await self._rest()
            self.checker.rest(self.machine.now())
        supervisor.cancel()
        with suppress(asyncio.CancelledError):
            await supervisor
        return self._report(crowd)

    async def _day(self, crowd: People, seconds: float) -> None:
        """Work, with faults; then everything that was begun comes to its end without any."""
        gallery = self.machine.gallery
        gallery.forgetful, gallery.failing, self.loop.slow = (0.1, 0.02, 0.02) if self.rough else (0.0, 0.0, 0.0)
        work = [asyncio.create_task(each) for each in (self._operate(crowd), self._operate(crowd), self._film(crowd))]
        faults = Faults(self.machine, self.chance, self.checker, self.chance.choice((0.3, 1.0)))
        trouble = [asyncio.create_task(faults.run())] if self.rough else []
        await asyncio.sleep(seconds)
        self._over = True
        for task in trouble:
            task.cancel()
        self.machine.restore()
        gallery.forgetful, gallery.failing, self.loop.slow = 0.0, 0.0, 0.0
        await asyncio.gather(*trouble, return_exceptions=True)
        await asyncio.gather(*work)
        rough, self.broker.pace = self.broker.pace, replace(self.broker.pace, slow=0.0)
        # What was sent before that may take its time all the same.
        await asyncio.sleep(rough.slowest)
        await self._rest()
        self._rough = rough

    async def _operate(self, crowd: People) -> None:
        """One operator: enrols, forgets, and does the rest of the trade."""
        self._over = False
        while not self._over:
            await asyncio.sleep(self.chance.expovariate(1 / 0.25))
            with suppress(Refused):
                await self._one_command(crowd)

    async def _one_command(self, crowd: People) -> None:
        # Who is in view is deleted more often than others: that is when it can go wrong.
        in_view = [each for each in crowd.known if each.subject == crowd.in_view] if self.chance.random() < 0.7 else []
        someone = self.chance.choice(in_view or crowd.known) if crowd.known else None
        # As is who is there while a partition changes hands slowly.
        drawn = 0.40 if self.broker.slowly_fenced else self.chance.random()
        if someone is None or drawn < 0.40:
            await crowd.enrol(self.chance.choice((PEOPLE, GUESTS)), self.chance.randrange(SUBJECTS))
        elif drawn < 0.75:
            await crowd.delete(someone)
        elif drawn < 0.85:
            await crowd.add_face(someone)
        elif drawn < 0.90:
            await crowd.delete_face(someone)
        elif drawn < 0.95:
            await crowd.list_face()
        else:
            await crowd.delete_collection(GUESTS)
            await crowd.open_collection(GUESTS)

    async def _film(self, crowd: People) -> None:
        """Passages before the cameras: each of one subject, in a few best shots."""
        number = 0
        while not self._over:
            number += 1
            subject, camera = self._passer_by(crowd), self.chance.choice(CAMERAS)
            crowd.in_view = subject
            for revision in range(self.chance.choice((1, 1, 2, 3))):
                seconds = self.chance.choice((4, 60, 60, 60))
                await crowd.show(camera, f"t{self.loop.time():.3f}-{number}", revision, subject, seconds)
                await asyncio.sleep(self.chance.expovariate(1 / 0.05))

    def _passer_by(self, crowd: People) -> int:
        """Somebody who is enrolled, or was until now, or anybody."""
        drawn = self.chance.random()
        if drawn < 0.3:
            return crowd.leaving
        return self.chance.choice(
            [each.subject for each in crowd.known] if drawn < 0.8 and crowd.known else range(SUBJECTS)
        )

    async def _rest(self) -> None:
        """Wait until nothing is left to be read, and everybody has had time to say what follows."""
        until = self.loop.time() + REST_S
        while not self._is_read():
            if self.loop.time() > until:
                self.checker.broken.append("I4: the world does not come to rest")
                return
            await asyncio.sleep(0.2)
        await asyncio.sleep(1.0)

    def _is_read(self) -> bool:
        for node in STAGES.values():
            if node.shell != "keeper" or node.input not in (FACES, COMMANDS, OPERATIONS):
                continue
            for number in range(SCALE.partitions(node.input)):
                place = (node.input.name, number)
                partition = self.broker.partitions[place]
                committed = self.broker.groups.committed(DEPLOYMENT.group(node), place) or 0
                # To the end, so that an open transaction is waited for; what was aborted nobody reads.
                if next(iter(partition.read(committed, partition.end)), None) is not None:
                    return False
        return True

    async def _canary(self, crowd: People, number: int) -> None:
        """A healthy world names whoever is enrolled and passes, and forgets on request."""
        try:
            await self._pass(crowd, number)
        except Refused as refusal:
            self.checker.broken.append(f"I4: a healthy world refuses: {refusal}")

    async def _pass(self, crowd: People, number: int) -> None:
        camera = next(each for each in CAMERAS if SCALE.of_camera(each) == number)
        someone = await crowd.enrol(PEOPLE, SUBJECTS + number)
        await asyncio.sleep(1.0)
        await crowd.show(camera, f"canary-{number}", 0, SUBJECTS + number, 60, honest=True)
        await asyncio.sleep(1.0)
        self.checker.expect_named(f"canary-{number}", someone.person_id)
        await crowd.delete(someone)

    async def _strike(self, crowd: People) -> None:
        """A deletion is carried out, whoever dies over it, and however often; nobody has to ask again."""
        await crowd.open_collection(STAFF)
        for subject in range(3):
            await crowd.enrol(STAFF, subject)
        self.machine.struck = frozenset({"control", "erase"})
        try:
            await crowd.delete_collection_once(STAFF)
        except (Refused, Unanswered) as error:
            self.checker.broken.append(f"I7: the deletion of {STAFF}, asked for once, is {type(error).__name__}")

    def _report(self, crowd: People) -> Report:
        return Report(
            self.seed,
            tuple(self.checker.broken),
            self.digest.hexdigest(),
            dict(sorted(self.states.items())),
            self.broker.steps,
            crowd.faces,
            self.checker.named,
            self.checker.deletions,
            self.checker.acknowledged,
            self.checker.ghosts,
            self.machine.restarts,
            self.loop.time(),
            crowd.patience,
        )
