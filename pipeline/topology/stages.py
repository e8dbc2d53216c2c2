"""Every stage, in flow order: what it reads, follows, replays and writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.topology.topics import (
    AUDIT,
    COMMANDS,
    DEAD_LETTERS,
    FACES,
    FRAMES,
    GAPS,
    GATE,
    IDENTIFICATIONS,
    LEDGER,
    OPERATIONS,
    TABLES,
    TEMPLATES,
    Topic,
)

Shell = Literal["capture", "worker", "keeper", "client"]


@dataclass(frozen=True, slots=True)
class Node:
    """A stage on the map. `reads` is partitioned work, `follows` are whole tables, `replays` what it wrote itself."""

    name: str
    shell: Shell
    summary: str
    reads: Topic | None = None
    follows: tuple[Topic, ...] = ()
    replays: tuple[Topic, ...] = ()
    writes: tuple[Topic, ...] = ()

    @property
    def input(self) -> Topic:
        """The topic whose partitions are the stage's work; ValueError for a node that reads none."""
        if self.reads is None:
            raise ValueError(f"{self.name} reads no topic")
        return self.reads


CAPTURE = Node("capture", "capture", "reads a camera, samples and numbers its frames", writes=(FRAMES, LEDGER, GAPS))
DETECT = Node(
    "detect",
    "worker",
    "finds faces, keeps tracks, chooses best shots",
    reads=FRAMES,
    replays=(LEDGER,),
    writes=(FACES, LEDGER, GAPS, DEAD_LETTERS),
)
IDENTIFY = Node(
    "identify",
    "keeper",
    "matches faces against the galleries; the live set decides",
    reads=FACES,
    follows=TABLES,
    replays=(IDENTIFICATIONS,),
    writes=(IDENTIFICATIONS, GATE, DEAD_LETTERS),
)
EXPIRE = Node(
    "expire",
    "keeper",
    "puts an end to faces at their TTL and destroys their keys",
    reads=FACES,
    replays=(FACES,),
    writes=(FACES, DEAD_LETTERS),
)
CLIENT = Node(
    "api, cli",
    "client",
    "asks for changes and waits for their outcome; answers as the Face service does",
    follows=(FACES, *TABLES, OPERATIONS),
    writes=(COMMANDS, FACES),
)
CONTROL = Node(
    "control",
    "keeper",
    "the one writer of the tables: checks commands, destroys keys",
    reads=COMMANDS,
    replays=(*TABLES, OPERATIONS),
    writes=(*TABLES, OPERATIONS, DEAD_LETTERS),
)
ERASE = Node(
    "erase",
    "keeper",
    "calls a deletion done once it names nobody, signs the receipt",
    reads=OPERATIONS,
    follows=(*TABLES, GATE),
    replays=(OPERATIONS, AUDIT),
    writes=(OPERATIONS, AUDIT, IDENTIFICATIONS, GATE, DEAD_LETTERS),
)
ENROL = Node(
    "enrol",
    "worker",
    "keeps Milvus in step with the templates",
    reads=TEMPLATES,
    writes=(DEAD_LETTERS,),
)

NODES: tuple[Node, ...] = (CAPTURE, DETECT, IDENTIFY, EXPIRE, CLIENT, CONTROL, ERASE, ENROL)
STAGES: Mapping[str, Node] = {node.name: node for node in NODES if node.shell in ("worker", "keeper")}
