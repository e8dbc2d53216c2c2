"""Administration of topics by confluent-kafka: the one client here that changes a setting without wiping the others.

Every method blocks, up to its timeout; inside an event loop it belongs in a thread. Each raises ServiceRefused (Kafka
says no: the text names what and why) and ServiceUnavailable (Kafka does not answer: ask again).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its names are public, but not re-exported
    AdminClient,
    AlterConfigOpType,
    ClusterMetadata,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from connectors import ServiceRefused
from connectors.kafka import KafkaAccess
from connectors.kafka_errors import NO_PERMISSION, identity_refused, translated
from connectors.kafka_groups import GroupReader

V = TypeVar("V")

Origin = Literal["topic", "broker", "default"]
HIGH_WATERMARK = -1  # DeleteRecords: everything there is
PROBE_GROUP = "faceline-readiness"  # never joined; its offsets can be asked for only when a coordinator serves


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """A topic as it shall be created: nothing is left to the cluster's defaults but what `config` does not name."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ConfigValue:
    """One setting in force, and who set it: the topic itself, the broker's settings, or Kafka's default."""

    value: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class TopicState:
    """A topic as the cluster has it, with every setting in force."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, ConfigValue]


class KafkaAdmin:
    """One administrator's connection; `timeout` in seconds bounds each call. Usable from several threads."""

    def __init__(self, access: KafkaAccess, *, timeout: float = 10.0) -> None:
        self._bootstrap = access.bootstrap
        self._timeout = timeout
        self._login_faults: deque[KafkaError] = deque(maxlen=1)
        note = partial(
            _note_login_fault, self._login_faults
        )  # not a method of ours: that cycle would keep threads alive
        options: dict[str, Any] = {**access.librdkafka(), "log_level": 0, "error_cb": note}
        self._groups = GroupReader(options, timeout)
        try:
            self._client = AdminClient(options)
        except KafkaException as error:
            raise translated(self._bootstrap, "take these connection options", error.args[0]) from error

    def close(self) -> None:
        """Give back the connections that `committed` and `ready` keep open."""
        self._groups.close()

    def ready(self) -> None:
        """Return when the cluster serves metadata and has a coordinator for groups; else ServiceUnavailable."""
        self._metadata()
        try:
            self._groups.committed(PROBE_GROUP, "__consumer_offsets", [0])
        except KafkaException as error:
            if error.args[0].code() not in NO_PERMISSION:  # even a "no" came from a coordinator
                raise self._translated("name a group coordinator", error) from error

    def topics(self) -> frozenset[str]:
        """The names of all topics, Kafka's own (`__...`) left out."""
        return frozenset(name for name in self._metadata().topics if not name.startswith("__"))

    def create_topics(self, plans: Iterable[TopicPlan]) -> frozenset[str]:
        """Create what does not exist and wait for its leaders; the names created. Others stay as they are."""
        wanted = [NewTopic(p.name, p.partitions, p.replication, config=dict(p.config)) for p in plans]
        if not wanted:
            return frozenset()
        created = set()
        for name, future in self._client.create_topics(wanted, **self._timeouts()).items():
            try:
                future.result()
                created.add(name)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise self._translated(f"create the topic {name}", error) from error
        self._wait_for_leaders(created)
        return frozenset(created)

    def describe(self, names: Iterable[str]) -> dict[str, TopicState]:
        """Those of `names` that exist, with partitions, replication factor and every setting in force."""
        metadata = self._metadata().topics
        found = [name for name in names if name in metadata]
        if not found:
            return {}
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in found]
        futures = self._client.describe_configs(resources, request_timeout=self._timeout)
        states = {}
        for resource, future in futures.items():
            entries: dict[str, ConfigEntry] = self._result(f"describe the topic {resource.name}", future)
            config = {e.name: ConfigValue(e.value or "", _origin(e.source)) for e in entries.values()}
            parts = metadata[resource.name].partitions
            replication = min((len(part.replicas) for part in parts.values()), default=0)
            states[resource.name] = TopicState(resource.name, len(parts), replication, config)
        return states

    def alter(self, topic: str, changes: Mapping[str, str | None]) -> None:
        """Set these settings of a topic and leave the others alone; None takes the topic's own value away."""
        resource = ConfigResource(ResourceType.TOPIC, topic)
        for name, value in changes.items():
            kind = AlterConfigOpType.DELETE if value is None else AlterConfigOpType.SET
            resource.add_incremental_config(ConfigEntry(name, value or "", incremental_operation=kind))
        futures = self._client.incremental_alter_configs([resource], request_timeout=self._timeout)
        for future in futures.values():
            self._result(f"change {', '.join(sorted(changes))} of the topic {topic}", future)

    def delete_topics(self, names: Iterable[str]) -> None:
        """Delete these topics with all their records; a name that does not exist is passed over."""
        doomed = sorted(set(names) & set(self._metadata().topics))
        if not doomed:
            return
        for name, future in self._client.delete_topics(doomed, **self._timeouts()).items():
            self._result(f"delete the topic {name}", future)

    def beginning_offsets(self, topic: str) -> dict[int, int]:
        """The offset of the first record kept, by partition."""
        return self._offsets(
            topic,
            OffsetSpec.earliest(),  # type: ignore[no-untyped-call]
            IsolationLevel.READ_UNCOMMITTED,
        )

    def end_offsets(self, topic: str, *, committed: bool = False) -> dict[int, int]:
        """The offset the next record gets, by partition; `committed`: where a reader of committed records ends."""
        isolation = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        return self._offsets(
            topic,
            OffsetSpec.latest(),  # type: ignore[no-untyped-call]
            isolation,
        )

    def delete_records(self, topic: str, before: Mapping[int, int]) -> dict[int, int]:
        """Make the records below these offsets unreadable, by partition (HIGH_WATERMARK: all); the new first offsets.

        The bytes leave the disk only with their segment, and never the segment that is still being written.
        """
        wanted = [TopicPartition(topic, partition, offset) for partition, offset in before.items()]
        if not wanted:
            return {}
        futures = self._client.delete_records(wanted, **self._timeouts())
        what = f"delete records of the topic {topic}"
        return {part.partition: self._result(what, future).low_watermark for part, future in futures.items()}

    def committed(self, group: str, topic: str) -> dict[int, int]:
        """A consumer group's committed offsets in a topic by partition; a partition without one is left out."""
        partitions = self._partitions(topic)
        try:
            return self._groups.committed(group, topic, partitions)
        except KafkaException as error:
            raise self._translated(f"read the offsets of the group {group}", error) from error

    def _offsets(self, topic: str, spec: OffsetSpec, isolation: IsolationLevel) -> dict[int, int]:
        wanted = {TopicPartition(topic, partition): spec for partition in self._partitions(topic)}
        futures = self._client.list_offsets(wanted, isolation_level=isolation, request_timeout=self._timeout)
        what = f"list offsets of the topic {topic}"
        return {part.partition: self._result(what, future).offset for part, future in futures.items()}

    def _partitions(self, topic: str) -> list[int]:
        metadata = self._metadata().topics.get(topic)
        if metadata is None:
            raise ServiceRefused(f"Kafka at {self._bootstrap} has no topic {topic}: create the topics first")
        return sorted(metadata.partitions)

    def _metadata(self) -> ClusterMetadata:
        try:
            return self._client.list_topics(timeout=self._timeout)
        except KafkaException as error:
            raise self._translated("describe itself", error) from error

    def _wait_for_leaders(self, names: set[str]) -> None:
        deadline = time.monotonic() + self._timeout
        while names and time.monotonic() < deadline:
            topics = self._metadata().topics
            if all(n in topics and all(p.leader >= 0 for p in topics[n].partitions.values()) for n in names):
                return
            time.sleep(0.05)

    def _timeouts(self) -> dict[str, float]:
        return {"request_timeout": self._timeout, "operation_timeout": self._timeout}

    def _result(self, what: str, future: Future[V]) -> V:
        try:
            return future.result()  # librdkafka ends it when the request's own time is over
        except KafkaException as error:
            raise self._translated(what, error) from error

    def _translated(self, what: str, exception: KafkaException) -> Exception:
        self._client.poll(0)  # librdkafka reports a refused login only here; the call itself merely times out
        error = self._login_faults.pop() if self._login_faults else exception.args[0]
        return translated(self._bootstrap, what, error)


def _note_login_fault(faults: deque[KafkaError], error: KafkaError) -> None:
    if identity_refused(error):
        faults.append(error)


def _origin(source: int | ConfigSource | None) -> Origin:
    match source if source is None else ConfigSource(source):
        case ConfigSource.DYNAMIC_TOPIC_CONFIG:
            return "topic"
        case ConfigSource.DEFAULT_CONFIG | ConfigSource.UNKNOWN_CONFIG | None:
            return "default"
        case _:
            return "broker"
