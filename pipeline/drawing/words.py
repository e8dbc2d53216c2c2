"""The map for a terminal, and for pages that render Mermaid."""

from collections.abc import Iterable
from itertools import zip_longest

from pipeline.drawing.arrows import BOOKKEEPING, Arrow, Kind, arrows, kept, of
from pipeline.topology import NODES, TOPICS, Node, Topic

INTO: dict[Kind, str] = {"reads": "--->", "follows": "===>", "replays": "- ->"}
LINE: dict[Kind, str] = {"reads": "-->", "follows": "==>", "replays": "-.->", "writes": "-->"}

STYLES = (
    "classDef stage fill:#1f3a5f,stroke:#1f3a5f,color:#ffffff",
    "classDef topic fill:#eaf1fb,stroke:#5b83b5,color:#14243a",
    "classDef outward fill:#fde9d2,stroke:#c8741a,color:#3d2405,stroke-width:2px",
    "classDef books fill:#f3f4f6,stroke:#9aa3af,color:#374151",
)


def text() -> str:
    """Stages as boxes between what they read and what they write, then the topics; ASCII, at most 120 columns."""
    margin = max(len(topic.name) for topic in TOPICS)
    width = max(len(node.name) for node in NODES)
    stages = "\n".join(_stage(node, margin, width) for node in NODES)
    widest = max(len(topic.key) for topic in TOPICS)
    rows = (f"  {topic.name:<{margin}}  {topic.key:<{widest}}  {kept(topic):<15}  {topic.summary}" for topic in TOPICS)
    legend = f"{'':{margin - 4}}---> reads, writes   ===> follows as a whole   - -> replays at its start"
    header = f"  {'topic':<{margin}}  {'key':<{widest}}  kept"
    return "\n".join((legend, "", stages, header, *rows)) + "\n"


def _stage(node: Node, margin: int, width: int) -> str:
    mine = of(node)
    left = [f"{arrow.topic.name:>{margin}} {INTO[arrow.kind]}" for arrow in mine if arrow.kind != "writes"]
    right = [arrow.topic.name for arrow in mine if arrow.kind == "writes" and not arrow.bookkeeping]
    if books := [arrow.topic.name for arrow in mine if arrow.kind == "writes" and arrow.bookkeeping]:
        right.append(", ".join(books))
    blank = " " * (margin + 5)
    edge = f"{blank} +-{'-' * width}-+"
    lines = [f"{edge} {node.summary}"]
    for number, (into, out) in enumerate(zip_longest(left, right)):
        label = node.name if number == 0 else ""
        lines.append(f"{into or blank} | {label:<{width}} |" + (f" ---> {out}" if out else ""))
    return "\n".join((*lines, edge, ""))


def mermaid() -> str:
    """A left-to-right flowchart: rounded topics, square stages, dotted replays, bookkeeping as a line in the stage."""
    lines = ["flowchart LR"]
    lines += [_mermaid_stage(node) for node in NODES]
    lines += [
        _mermaid_topic(topic, "outward" if topic.outward else "topic") for topic in TOPICS if topic not in BOOKKEEPING
    ]
    lines += [
        f"  {_id(arrow.source)} {LINE[arrow.kind]} {_id(arrow.target)}" for arrow in arrows() if not arrow.bookkeeping
    ]
    lines.append('  subgraph books ["bookkeeping of the stages"]')
    lines += [f"  {_mermaid_topic(topic, 'books')}" for topic in BOOKKEEPING]
    lines.append("  end")
    return "\n".join((*lines, *(f"  {style}" for style in STYLES))) + "\n"


def _mermaid_stage(node: Node) -> str:
    books = _books(arrow for arrow in of(node) if arrow.bookkeeping)
    below = "".join(f"<br/><small><i>{line}</i></small>" for line in books)
    return f'  {_id(node.name)}["<b>{node.name}</b><br/><small>{node.summary}</small>{below}"]:::stage'


def _mermaid_topic(topic: Topic, style: str) -> str:
    return f'  {_id(topic.name)}(["{topic.name}<br/><small>{kept(topic)}</small>"]):::{style}'


def _books(mine: Iterable[Arrow]) -> list[str]:
    kinds: dict[Kind, list[str]] = {}
    for arrow in mine:
        kinds.setdefault(arrow.kind, []).append(arrow.topic.name)
    return [f"{kind} {', '.join(names)}" for kind, names in kinds.items()]


def _id(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)
