"""A whole cluster as it stands: every topic with its settings, every broker with its own, and the bytes on the disks.

By aiokafka, because confluent-kafka cannot ask for the sizes (DescribeLogDirs). One connection for one look.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiokafka.client import AIOKafkaClient  # type: ignore[import-untyped]
from aiokafka.errors import KafkaError, for_code  # type: ignore[import-untyped]
from aiokafka.protocol.admin import DescribeConfigsRequest  # type: ignore[import-untyped]
from aiokafka.protocol.api import Request, RequestStruct, Response  # type: ignore[import-untyped]
from aiokafka.protocol.metadata import MetadataRequest  # type: ignore[import-untyped]
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Int64, Schema, String  # type: ignore[import-untyped]

from connectors import ServiceRefused, ServiceUnavailable
from connectors.kafka import KafkaAccess
from connectors.kafka_admin import ConfigValue, Origin, TopicState

TOPIC, BROKER = 2, 4  # org.apache.kafka.common.config.ConfigResource.Type
OF_THE_TOPIC, BY_DEFAULT = 1, 5  # org.apache.kafka.clients.admin.ConfigEntry.ConfigSource in DescribeConfigs


@dataclass(frozen=True, slots=True)
class ClusterState:
    """What one look found. `brokers` by id, `sizes` in bytes by broker and topic, other replicas' included.

    `internal` are Kafka's own topics. `out_of_sync` are topics with a replica that is down or behind, `unreadable` the
    log directories that a broker has given up. `replicas` are the brokers that hold each partition, by topic; `folders`
    are all log directories of each broker, where it has them.
    """

    topics: Mapping[str, TopicState]
    internal: frozenset[str]
    out_of_sync: frozenset[str]
    brokers: Mapping[int, Mapping[str, str]]
    sizes: Mapping[int, Mapping[str, int]]
    unreadable: tuple[str, ...] = ()
    replicas: Mapping[str, Mapping[int, frozenset[int]]] = field(default_factory=dict)
    folders: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


class _LogDirs(Response):  # type: ignore[misc]
    API_KEY = 35
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "folders",
            Array(
                ("error_code", Int16),
                ("path", String("utf-8")),
                (
                    "topics",
                    Array(
                        ("name", String("utf-8")),
                        (
                            "partitions",
                            Array(("partition", Int32), ("size", Int64), ("lag", Int64), ("is_future", Boolean)),
                        ),
                    ),
                ),
            ),
        ),
    )


class _DescribeLogDirs1(RequestStruct):  # type: ignore[misc]
    API_KEY = 35
    API_VERSION = 1
    RESPONSE_TYPE = _LogDirs
    SCHEMA = Schema(("topics", Array(("topic", String("utf-8")), ("partitions", Array(Int32)))))


class _DescribeLogDirs(Request[_DescribeLogDirs1]):  # type: ignore[misc]
    """DescribeLogDirs of every partition; version 1 is the last one without tagged fields, and Kafka 4 answers it."""

    API_KEY = 35

    def build(self, request_struct_class: type[_DescribeLogDirs1]) -> _DescribeLogDirs1:
        return request_struct_class(None)


async def observe(access: KafkaAccess, *, timeout: float = 10.0) -> ClusterState:
    """Look at the whole cluster; each question waits `timeout` seconds.

    ServiceUnavailable where a broker does not answer; ServiceRefused where an ACL is missing (DescribeConfigs of topics
    and of the cluster, Describe of the cluster).
    """
    client = AIOKafkaClient(**access.aiokafka(), request_timeout_ms=int(1000 * timeout))
    try:
        await client.bootstrap()
        return await _Look(client, access.bootstrap).all()
    except (KafkaError, TimeoutError, OSError) as error:
        raise ServiceUnavailable(f"Kafka at {access.bootstrap} does not answer: {type(error).__name__}") from error
    finally:
        await client.close()


@dataclass(frozen=True, slots=True)
class _Look:
    client: Any
    bootstrap: str

    async def all(self) -> ClusterState:
        metadata = (await self._ask(self.client.get_random_node(), MetadataRequest(None))).to_object()
        ids = [broker["node_id"] for broker in metadata["brokers"]]
        settings = await asyncio.gather(*(self._settings(node, (BROKER, str(node))) for node in ids))
        folders = await asyncio.gather(*(self._ask(node, _DescribeLogDirs()) for node in ids))
        found = {topic["topic"]: topic["partitions"] for topic in metadata["topics"]}
        configs = await self._settings(ids[0], *((TOPIC, name) for name in sorted(found))) if found else {}
        brokers = {
            node: {name: value.value for name, value in told.get(str(node), {}).items()}
            for node, told in zip(ids, settings, strict=True)
        }
        sizes = {node: self._sizes(answer.folders) for node, answer in zip(ids, folders, strict=True)}
        return ClusterState(
            {name: _state(name, partitions, configs.get(name, {})) for name, partitions in found.items()},
            frozenset(topic["topic"] for topic in metadata["topics"] if topic["is_internal"]),
            frozenset(name for name, parts in found.items() if any(set(p["isr"]) < set(p["replicas"]) for p in parts)),
            brokers,
            sizes,
            tuple(path for answer in folders for code, path, _ in answer.folders if code),
            {name: {p["partition"]: frozenset(p["replicas"]) for p in parts} for name, parts in found.items()},
            {node: tuple(path for _, path, _ in answer.folders) for node, answer in zip(ids, folders, strict=True)},
        )

    async def _ask(self, node: int, request: Any) -> Any:
        await self.client.ready(node)
        return await self.client.send(node, request)

    async def _settings(self, node: int, *resources: tuple[int, str]) -> dict[str, dict[str, ConfigValue]]:
        answer = await self._ask(node, DescribeConfigsRequest([(kind, name, None) for kind, name in resources]))
        found = {}
        for code, _, _, name, entries in answer.resources:
            if code:
                what = f"the configuration of {'the cluster' if resources[0][0] == BROKER else f'the topic {name}'}"
                raise ServiceRefused(
                    f"Kafka at {self.bootstrap} does not let us describe {what} ({for_code(code).__name__}): ask for "
                    "the ACL"
                )
            found[name] = {
                setting: ConfigValue(value or "", _origin(source)) for setting, value, _, source, *_ in entries
            }
        return found

    def _sizes(self, folders: list[Any]) -> dict[str, int]:
        # Whoever may not ask is told of no folder at all.
        if not folders:
            raise ServiceRefused(
                f"Kafka at {self.bootstrap} does not let us describe its log directories: ask for the ACL Describe of "
                "the cluster"
            )
        sizes: dict[str, int] = defaultdict(int)
        for _, _, topics in folders:
            for name, partitions in topics:
                sizes[name] += sum(size for _, size, *_ in partitions)
        return dict(sizes)


def _origin(source: int) -> Origin:
    return "topic" if source == OF_THE_TOPIC else "default" if source == BY_DEFAULT else "broker"


def _state(name: str, partitions: list[Any], config: Mapping[str, ConfigValue]) -> TopicState:
    replication = min((len(each["replicas"]) for each in partitions), default=0)
    return TopicState(name, len(partitions), replication, config)
