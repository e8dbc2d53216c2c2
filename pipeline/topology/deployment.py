"""The map as it stands on one cluster: partition counts, and which partition is whose."""

import zlib
from dataclasses import dataclass, field

from pipeline import records
from pipeline.topology.stages import Node
from pipeline.topology.topics import Topic

TOGETHER = {records.DIRECTORY: records.DIRECTORY, "dynamicpersongroup": records.DIRECTORY, "facelist": "facelist"}


@dataclass(frozen=True, slots=True)
class Scale:
    """Partition counts: 4 and 1 on one machine, 32 and 8 for a fleet. They never change on a living deployment."""

    streams: int = 4
    tables: int = 1

    def partitions(self, topic: Topic) -> int:
        return self.streams if topic.family == "stream" else self.tables

    def of_camera(self, camera: str) -> int:
        """The partition of the streams where a camera's records live."""
        return zlib.crc32(camera.encode()) % self.streams

    def of_face(self, face_id: str) -> int:
        """The partition of `faces` where a face lives that came through the API."""
        return zlib.crc32(face_id.encode()) % self.streams

    def of_scope(self, scope: str) -> int:
        """The partition of the tables where a collection, its persons and its templates live.

        What is counted or checked together has one owner, and so one partition: the PersonDirectory with its
        DynamicPersonGroups, and all FaceLists, of which there may be 64.
        """
        together = TOGETHER.get(scope.partition("/")[0], scope)
        return zlib.crc32(together.encode()) % self.tables


@dataclass(frozen=True, slots=True)
class Deployment:
    """The map as it stands on one cluster: partitions, replicas, and a prefix where the cluster is shared."""

    scale: Scale = field(default_factory=Scale)
    replication: int = 1
    prefix: str = ""

    def name(self, topic: Topic) -> str:
        return self.prefix + topic.name

    def group(self, node: Node) -> str:
        """The consumer group of a stage, which is also what its transactional ids begin with."""
        return self.prefix + node.name
