"""What goes wrong: processes die, stand still and come back, two own one partition, the broker falls, readers lag."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from pipeline.bench.simulation.broker import SlowFence
from pipeline.bench.simulation.checker import Checker
from pipeline.bench.simulation.deployment import DEPLOYMENT, SCALE, Machine
from pipeline.bench.simulation.loop import LIFE
from pipeline.topology import COMMANDS, FACES, IDENTIFY, TABLES

LOOKS, LOOK_S = 200, 0.002


@dataclass(slots=True)
class Faults:
    """One fault after another, `pause` seconds apart on the average."""

    machine: Machine
    chance: random.Random
    checker: Checker
    pause: float = 0.5

    async def run(self) -> None:
        """Go on for ever; cancel to end. What is still stopped then is for `Machine.restore`."""
        kinds: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (8, self.kill),
            (6, self.stand_still),
            (2, self.stand_still_together),
            (3, self.eject),
            (10, self.succeed_late),
            (3, self.stall),
            (2, self.crash_broker),
            (2, self.retention_overtakes),
            (4, self.clean),
        ]
        while True:
            await asyncio.sleep(self.chance.expovariate(1 / self.pause))
            (fault,) = self.chance.choices([each for _, each in kinds], [weight for weight, _ in kinds])
            await fault()

    def _somebody(self) -> str:
        return self.chance.choice(sorted(self.machine.lives))

    async def kill(self) -> None:
        """SIGKILL, of two at once now and then."""
        for _ in range(1 if self.chance.random() < 0.8 else 2):
            life = self.machine.lives[self._somebody()]
            if not life.dead:
                self.machine.broker.saw("a process was killed")
                life.kill()

    async def stand_still_together(self) -> None:
        """A whole stage, in a transaction, for so long that it is ended for it."""
        seconds, stage = self.chance.uniform(1.0, 6.0), self.chance.choice(("identify", "control", "expire", "erase"))
        for _ in range(LOOKS):
            if self.machine.broker.coordinator.is_open(stage):
                break
            await asyncio.sleep(LOOK_S)
        for name in self.machine.of_stage(stage):
            self._stop(name, seconds)

    async def stand_still(self) -> None:
        """SIGSTOP for a while: whoever wakes goes on as if nothing had been."""
        self._stop(self._somebody(), self.chance.uniform(0.3, 5.0))

    def _stop(self, name: str, seconds: float) -> None:
        life, before = self.machine.lives[name], self.checker.acknowledged
        if life.dead or life.stopped:
            return
        life.stop()

        def wake() -> None:
            if not life.dead and self.checker.acknowledged > before and name.startswith("identify"):
                self.machine.broker.saw("a zombie woke after an acknowledgement")
            life.resume()

        self.machine.loop.call_later(seconds, wake)

    async def eject(self) -> None:
        """Its heartbeats are lost: others get its partitions, and it does not know yet."""
        for group in self.machine.broker.groups.all().values():
            names = sorted(group.instances())
            if names and self.chance.random() < 0.4:
                self.machine.broker.saw("two owners of a partition")
                group.eject(self.chance.choice(names), self.chance.uniform(0.0, 3.0))

    async def succeed_late(self) -> None:
        """Whoever takes a partition over fences late, and whoever had it works on.

        It hears nothing of the tables any more: from before it knows of the partition, or from when it fences.
        """
        name, partition = DEPLOYMENT.group(IDENTIFY), self.chance.randrange(SCALE.streams)
        group = self.machine.broker.groups.all().get(name)
        owner, heir = (None, None) if group is None else (group.owner(partition), group.heir(partition))
        if group is None or owner is None or heir is None:
            return
        seconds = self.chance.uniform(0.3, 1.5)
        if self.chance.random() < 0.5:
            self._deafen(heir, self.chance.uniform(1.5, 5.0))
            slow = SlowFence(seconds)
        else:
            slow = SlowFence(seconds, partial(self._deafen, None, seconds + self.chance.uniform(0.3, 2.0)))
        self.machine.broker.slow_fences[f"{name}-{partition}"] = slow
        await asyncio.sleep(self.chance.uniform(0.0, 0.2))
        group.eject(owner, self.chance.uniform(1.0, 4.0))

    def _deafen(self, name: str | None, seconds: float) -> None:
        """The tables of a process, or of the one that calls."""
        life = LIFE.get()
        for consumer in self.machine.consumers.get(name or (life.name if life else ""), ()):
            if not consumer.belongs:
                consumer.stall(seconds)

    async def stall(self) -> None:
        """One process hears nothing new of any topic for a while."""
        for consumer in self.machine.consumers.get(self._somebody(), ()):
            consumer.stall(self.chance.uniform(0.1, 2.0))

    async def crash_broker(self) -> None:
        """kill -9 of the broker, with a start of its log just moved."""
        committed = self.machine.broker.groups.committed("control", (COMMANDS.name, 0))
        if committed is not None:
            self.machine.broker.partitions[(COMMANDS.name, 0)].delete_before(committed)
            await asyncio.sleep(self.chance.uniform(0.0, 1.5))
        self.machine.broker.crash(self.chance.uniform(0.2, 1.0))

    async def retention_overtakes(self) -> None:
        """Nobody identifies for so long that faces leave the topic unread."""
        names = self.machine.of_stage("identify")
        self.machine.away.update(names)
        for name in names:
            self.machine.lives[name].kill()
        await asyncio.sleep(self.chance.uniform(0.3, 1.0))
        for number in range(SCALE.streams):
            self._overtake(number)
        self.machine.away.clear()

    def _overtake(self, number: int) -> None:
        partition = self.machine.broker.partitions[(FACES.name, number)]
        group = DEPLOYMENT.group(IDENTIFY)
        committed = self.machine.broker.groups.committed(group, (FACES.name, number)) or 0
        unread = [entry.offset for entry in partition.read(committed, partition.stable)]
        if len(unread) > 1:
            start = unread[self.chance.randrange(1, len(unread))]
            self.checker.overtaken |= {(number, offset) for offset in unread if offset < start}
            self.checker.retired[number] = start
            partition.delete_before(start)
            self.machine.broker.saw("retention overtook a reader")

    async def clean(self) -> None:
        """A pass of the cleaner over every table."""
        for topic in TABLES:
            for number in range(SCALE.partitions(topic)):
                self.machine.broker.partitions[(topic.name, number)].clean()
