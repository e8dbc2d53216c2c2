"""The map as an SVG page: streams above, tables below, both flowing from left to right."""

from collections import defaultdict
from dataclasses import dataclass
from html import escape
from textwrap import wrap
from typing import Literal

from pipeline.drawing.arrows import BOOKKEEPING, Arrow, Kind, arrows, kept, of
from pipeline.topology import NODES, TOPICS, Node, Topic

Side = Literal["left", "right"]

WIDTH, HEIGHT = 1200, 676
STAGE_WIDTH, TOPIC_WIDTH, TOPIC_HEIGHT, LINE_HEIGHT, PILL_HEIGHT = 164, 138, 56, 14, 16

# The one hand-made part: where a thing stands on the page, as the left edge of its column and the height of its middle.
PLACES: dict[str, tuple[int, int]] = {
    "capture": (20, 164),
    "frames": (222, 164),
    "detect": (400, 164),
    "faces": (636, 164),
    "expire": (836, 80),
    "identify": (836, 228),
    "identifications": (1044, 228),
    "api, cli": (20, 428),
    "commands": (222, 428),
    "control": (400, 428),
    "collections": (636, 314),
    "persons": (636, 390),
    "templates": (636, 466),
    "memberships": (636, 542),
    "operations": (636, 618),
    "audit": (1044, 618),
    "enrol": (836, 466),
    "erase": (836, 600),
    "gate": (1044, 314),
    "ledger": (1044, 390),
    "gaps": (1044, 466),
    "dead-letters": (1044, 542),
}
ORDER: tuple[Kind, ...] = ("reads", "follows", "writes", "replays")

STYLE = """
text { font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", Helvetica, Arial, sans-serif; }
.stage rect.box { fill: #1f3a5f; } .stage text { fill: #ffffff; } .stage text.small { fill: #c9d8ec; }
.topic rect { fill: #eaf1fb; stroke: #5b83b5; stroke-width: 1.5; } .topic text { fill: #14243a; }
.outward rect { fill: #fde9d2; stroke: #c8741a; stroke-width: 2.5; } .outward text { fill: #3d2405; }
.books rect { fill: #f3f4f6; stroke: #9aa3af; } .books text { fill: #374151; }
.name { font-size: 14px; font-weight: 600; } .small { font-size: 11px; } .pill text { font-size: 10px; }
.pill rect { fill: #f3f4f6; stroke: #f3f4f6; } .pill text { fill: #1f2937; }
.pill.replays rect { fill: none; stroke-dasharray: 3 2; } .pill.replays text { fill: #ffffff; }
.arrow { fill: none; stroke: #44566c; stroke-width: 1.6; } .arrow.follows { stroke: #2f7d4f; }
.arrow.replays { stroke: #9a6a2f; stroke-dasharray: 5 4; }
.legend { font-size: 12px; fill: #374151; }
""".strip()
COLOURS: dict[Kind, str] = {"reads": "#44566c", "writes": "#44566c", "follows": "#2f7d4f", "replays": "#9a6a2f"}
MEANINGS: dict[Kind, str] = {
    "reads": "reads, writes",
    "follows": "follows as a whole",
    "replays": "replays at its start",
}


@dataclass(frozen=True, slots=True)
class Shape:
    """A rectangle on the page, in pixels; `middle` is the height of its horizontal axis."""

    left: float
    middle: float
    width: float
    height: float

    @property
    def top(self) -> float:
        return self.middle - self.height / 2

    def edge(self, side: Side) -> float:
        return self.left if side == "left" else self.left + self.width


@dataclass(frozen=True, slots=True)
class Pill:
    """A bookkeeping arrow, written into its stage; `left` and `row` are relative to the stage's first pill."""

    arrow: Arrow
    left: float
    row: int
    width: float


def svg() -> str:
    """The whole page; every topic, stage and arrow is an element whose title says in words what it is."""
    shapes = {node.name: _stage_shape(node) for node in NODES} | {topic.name: _topic_shape(topic) for topic in TOPICS}
    drawn = [arrow for arrow in arrows() if not arrow.bookkeeping]
    ports = _ports(drawn, shapes)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'role="img" aria-label="The stages and topics of Faceline">',
        f"<style>\n{STYLE}\n</style>",
        "<defs>",
        *(_arrowhead(kind) for kind in MEANINGS),
        "</defs>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="10" fill="#ffffff"/>',
        *_legend(),
        *(_arrow(arrow, ports) for arrow in drawn),
        *(_stage(node, shapes[node.name]) for node in NODES),
        *(_topic(topic, shapes[topic.name]) for topic in TOPICS),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _topic_shape(topic: Topic) -> Shape:
    left, middle = PLACES[topic.name]
    return Shape(left, middle, TOPIC_WIDTH, TOPIC_HEIGHT)


def _stage_shape(node: Node) -> Shape:
    left, middle = PLACES[node.name]
    pills = _pills(node)
    rows = 1 + pills[-1].row if pills else 0
    height = 36 + LINE_HEIGHT * len(_summary(node)) + (PILL_HEIGHT + 4) * rows
    return Shape(left, middle, STAGE_WIDTH, height)


def _summary(node: Node) -> list[str]:
    return wrap(node.summary, 26)


def _pills(node: Node) -> list[Pill]:
    pills: list[Pill] = []
    left, row = 0.0, 0
    for arrow in (arrow for arrow in of(node) if arrow.bookkeeping):
        width = 10 + 5.8 * len(arrow.topic.name)
        if left + width > STAGE_WIDTH - 16:
            left, row = 0.0, row + 1
        pills.append(Pill(arrow, left, row, width))
        left += width + 4
    return pills


def _ports(drawn: list[Arrow], shapes: dict[str, Shape]) -> dict[tuple[Arrow, str], tuple[float, float]]:
    """Where each arrow touches each of its two shapes; those of one side are spread and do not cross there."""
    sides: dict[tuple[str, Side], list[tuple[float, int, Arrow]]] = defaultdict(list)
    for arrow in drawn:
        west, east = sorted((arrow.source, arrow.target), key=lambda name: shapes[name].left)
        rank = ORDER.index(arrow.kind)
        sides[west, "right"].append((shapes[east].middle, rank, arrow))
        sides[east, "left"].append((shapes[west].middle, rank, arrow))
    ports = {}
    for (name, side), ends in sides.items():
        shape = shapes[name]
        for number, (_, _, arrow) in enumerate(sorted(ends, key=lambda end: end[:2]), start=1):
            ports[arrow, name] = shape.edge(side), shape.top + shape.height * number / (len(ends) + 1)
    return ports


def _arrow(arrow: Arrow, ports: dict[tuple[Arrow, str], tuple[float, float]]) -> str:
    x0, y0 = ports[arrow, arrow.source]
    x1, y1 = ports[arrow, arrow.target]
    x1 += -3 if x0 < x1 else 3
    bend = (x1 - x0) / 2
    path = f"M{x0:.0f} {y0:.1f} C{x0 + bend:.0f} {y0:.1f} {x1 - bend:.0f} {y1:.1f} {x1:.0f} {y1:.1f}"
    head = "reads" if arrow.kind == "writes" else arrow.kind
    return f'<path class="arrow {arrow.kind}" d="{path}" marker-end="url(#{head})"><title>{arrow}</title></path>'


def _arrowhead(kind: Kind) -> str:
    return (
        f'<marker id="{kind}" viewBox="0 0 8 8" refX="5" refY="4" markerWidth="8" markerHeight="8" '
        f'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="{COLOURS[kind]}"/></marker>'
    )


def _stage(node: Node, shape: Shape) -> str:
    x, y = shape.left, shape.top
    lines = [
        f'<g class="stage"><title>stage {escape(node.name)}</title>',
        f'<rect class="box" x="{x:.0f}" y="{y:.0f}" width="{shape.width}" height="{shape.height:.0f}" rx="3"/>',
        _line("name", x + 10, y + 22, node.name),
    ]
    lines += [_line("small", x + 10, y + 38 + LINE_HEIGHT * number, line) for number, line in enumerate(_summary(node))]
    below = y + 32 + LINE_HEIGHT * len(_summary(node))
    lines += [_pill(pill, x + 8, below) for pill in _pills(node)]
    return "\n".join((*lines, "</g>"))


def _pill(pill: Pill, x: float, y: float) -> str:
    left, top = x + pill.left, y + (PILL_HEIGHT + 4) * pill.row
    return (
        f'<g class="pill {pill.arrow.kind}"><title>{pill.arrow}</title>'
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{pill.width:.1f}" height="{PILL_HEIGHT}" rx="8"/>'
        f'<text x="{left + pill.width / 2:.1f}" y="{top + 11.5:.1f}" text-anchor="middle">'
        f"{pill.arrow.topic.name}</text></g>"
    )


def _topic(topic: Topic, shape: Shape) -> str:
    style = "topic outward" if topic.outward else "topic books" if topic in BOOKKEEPING else "topic"
    x, y = shape.left, shape.top
    return "\n".join(
        (
            f'<g class="{style}"><title>topic {topic.name}: {escape(topic.summary)}</title>',
            f'<rect x="{x}" y="{y:.0f}" width="{shape.width}" height="{shape.height}" rx="16"/>',
            _line("name", x + 12, y + 20, topic.name),
            _line("small", x + 12, y + 35, topic.key.replace("persistedFaceId", "faceId")),
            _line("small", x + 12, y + 48, kept(topic)),
            "</g>",
        )
    )


def _line(style: str, x: float, y: float, words: str) -> str:
    return f'<text class="{style}" x="{x:.0f}" y="{y:.0f}">{escape(words)}</text>'


def _legend() -> list[str]:
    lines = []
    for number, (kind, meaning) in enumerate(MEANINGS.items()):
        y = 30 + 20 * number
        lines.append(f'<path class="arrow {kind}" d="M20 {y} L60 {y}" marker-end="url(#{kind})"/>')
        lines.append(f'<text class="legend" x="72" y="{y + 4}">{meaning}</text>')
    lines.append(
        '<text class="legend" x="224" y="34">box: a stage, with the topics that it keeps its books on or follows</text>'
    )
    lines.append('<text class="legend" x="224" y="54">rounded: a topic, its key and how long it keeps a record</text>')
    lines.append('<text class="legend" x="224" y="74">orange: the topic that applications read</text>')
    return lines
