"""The part of Kafka's administration that the eraser needs, on the simulated broker."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.bench.simulation.broker import SimulatedBroker


@dataclass(frozen=True, slots=True)
class SimulatedAdmin:
    """Every call takes effect at once: it is made in a thread, which takes its time already."""

    broker: SimulatedBroker

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """How far a group has read."""
        found = {number: self.broker.groups.committed(group, (topic, number)) for number in self._numbers(topic)}
        return {number: offset for number, offset in found.items() if offset is not None}

    def delete_records(self, topic: str, before: Mapping[int, int]) -> dict[int, int]:
        """Delete what lies before the offsets; where the partitions begin then."""
        for number, offset in before.items():
            self.broker.partitions[(topic, number)].delete_before(offset)
        return {number: self.broker.partitions[(topic, number)].start for number in before}

    def close(self) -> None:
        """Let go of nothing."""

    def _numbers(self, topic: str) -> range:
        return range(self.broker.topics[topic][0])
