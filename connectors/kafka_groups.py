"""The committed offsets of consumer groups, read without joining them.

`AdminClient.list_consumer_group_offsets` ends the whole process with SIGSEGV when the group's coordinator has just
moved or is still loading (librdkafka issue 5040; seen with confluent-kafka 2.16.1 right after a broker's first start).
A consumer that never subscribes asks the same question safely.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import Consumer, TopicPartition


class GroupReader:
    """One silent consumer per group asked about, kept for the next time. `timeout` in seconds; usable from threads."""

    def __init__(self, options: Mapping[str, Any], timeout: float) -> None:
        self._options = dict(options)
        self._timeout = timeout
        self._consumers: dict[str, Consumer] = {}
        self._lock = threading.Lock()

    def committed(self, group: str, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        """The committed offset by partition; one that has none is left out. Raises KafkaException."""
        with self._lock:
            if group not in self._consumers:
                self._consumers[group] = Consumer({**self._options, "group.id": group, "enable.auto.commit": False})
            consumer = self._consumers[group]
        asked = [TopicPartition(topic, partition) for partition in partitions]
        answer = consumer.committed(asked, timeout=self._timeout)
        return {part.partition: part.offset for part in answer if part.offset >= 0}

    def close(self) -> None:
        """Give the connections back; a later question opens new ones."""
        with self._lock:
            while self._consumers:
                self._consumers.popitem()[1].close()
