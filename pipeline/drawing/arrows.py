"""What every drawing has to show: the arrows of the map, and which topics are kept out of the way."""

from dataclasses import dataclass
from typing import Literal

from pipeline.topology import DEAD_LETTERS, GAPS, LEDGER, NODES, Node, Topic

Kind = Literal["reads", "follows", "replays", "writes"]

# Nearly every stage writes them; drawn as lines they would hide the flow, so a stage carries them as labels.
BOOKKEEPING: tuple[Topic, ...] = (LEDGER, GAPS, DEAD_LETTERS)


@dataclass(frozen=True, slots=True)
class Arrow:
    """One relation of a stage to a topic; records flow from `source` to `target`."""

    node: Node
    kind: Kind
    topic: Topic

    @property
    def source(self) -> str:
        return self.node.name if self.kind == "writes" else self.topic.name

    @property
    def target(self) -> str:
        return self.topic.name if self.kind == "writes" else self.node.name

    @property
    def bookkeeping(self) -> bool:
        # A client follows nearly everything, and no record flows on from there.
        return self.topic in BOOKKEEPING or (self.node.shell == "client" and self.kind == "follows")

    def __str__(self) -> str:
        return f"{self.node.name} {self.kind} {self.topic.name}"


def of(node: Node) -> tuple[Arrow, ...]:
    """The arrows of one stage."""
    reads = () if node.reads is None else (node.reads,)
    related: tuple[tuple[Kind, tuple[Topic, ...]], ...] = (
        ("reads", reads),
        ("follows", node.follows),
        ("replays", node.replays),
        ("writes", node.writes),
    )
    return tuple(Arrow(node, kind, topic) for kind, topics in related for topic in topics)


def arrows() -> tuple[Arrow, ...]:
    """Every arrow of the map, in flow order."""
    return tuple(arrow for node in NODES for arrow in of(node))


def kept(topic: Topic) -> str:
    """How long a topic keeps its records, in words: `60 s`, `25 h, compacted`, `until deleted`."""
    if topic.retention_ms < 0:
        return "until deleted"
    span = _in_words(topic.retention_ms // 1000)
    return f"{span}, compacted" if "compact" in topic.cleanup else span


def _in_words(seconds: int) -> str:
    if seconds < 3600:
        return f"{seconds} s"
    return f"{seconds // 3600} h" if seconds <= 172_800 else f"{seconds // 86_400} d"
