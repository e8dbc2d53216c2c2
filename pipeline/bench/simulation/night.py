"""A night in which nothing happens but that time passes: Kafka forgets its tombstones, and who slept does not know.

The clocks go on by more than Kafka keeps a tombstone, in strides shorter than a view may hear nothing: whoever is awake
looks at the tables between them. Nobody is killed for having slept; that is for `views.Follower` to find out.
"""

import asyncio
import random
from dataclasses import dataclass
from datetime import timedelta

from pipeline.bench.simulation.deployment import DEPLOYMENT, SCALE, Machine
from pipeline.bench.simulation.groups import Group
from pipeline.bench.simulation.people import People
from pipeline.changes import Tombstone
from pipeline.codec import encode
from pipeline.keeper.upkeep import NUDGE_KEY
from pipeline.topology import IDENTIFY, TABLES

# The first pass of the cleaner meets the tombstones, the last one removes them.
STRIDES = (timedelta(hours=9),) * 4
# Between two of them everybody looks who looks as often as a keeper does.
LOOK_S = 0.6


@dataclass(frozen=True, slots=True)
class Night:
    """One night of a machine, which may end its processes; one of them may sleep since before somebody was deleted."""

    machine: Machine
    chance: random.Random
    crowd: People

    async def pass_by(self) -> None:
        """From the evening to the morning, when some begin anew and the sleeper wakes."""
        sleeper = self._standby() if self.crowd.known else None
        if sleeper is not None:
            self.machine.lives[sleeper].stop()
            await self.crowd.delete(self.chance.choice(self.crowd.known))
        for stride in STRIDES:
            self.machine.passed += stride
            self._clean()
            await asyncio.sleep(LOOK_S)
        for name in sorted(self.machine.lives):
            if self.chance.random() < 0.6 and name != sleeper:
                self.machine.lives[name].kill()
        if sleeper is not None:
            self._wake(sleeper)

    def _standby(self) -> str | None:
        """An identify that owns nothing: who owns something is fenced for its silence, and ends anyhow."""
        idle = set(self.machine.of_stage("identify")) - set(self._owners())
        return next((name for name in sorted(idle) if not self.machine.lives[name].dead), None)

    def _wake(self, sleeper: str) -> None:
        """It goes on as if nothing had been, and is given what another one had."""
        self.machine.lives[sleeper].resume()
        self._group.eject(self.chance.choice(self._owners()), self.chance.uniform(1.0, 4.0))

    def _owners(self) -> list[str]:
        owners = [self._group.owner(number) for number in range(SCALE.streams)]
        return [name for name in owners if name is not None]

    @property
    def _group(self) -> Group:
        return self.machine.broker.groups.all()[DEPLOYMENT.group(IDENTIFY)]

    def _clean(self) -> None:
        """Append to every table, so that its segments are closed, and have the cleaner pass."""
        for topic in TABLES:
            wire = encode(topic, Tombstone(NUDGE_KEY))
            for number in range(SCALE.partitions(topic)):
                partition = self.machine.broker.partitions[(topic.name, number)]
                before = partition.tombstones()
                self.machine.broker.append((topic.name, number), (wire.key, wire.value, wire.headers), None)
                partition.clean()
                for _ in before - partition.tombstones():
                    self.machine.broker.saw("a tombstone was cleaned away before a restart")
