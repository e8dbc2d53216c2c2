"""Every drawing shows the whole map, and the README shows the drawing."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pipeline import drawing
from pipeline.drawing.words import INTO
from pipeline.topology import NODES, TOPICS

README = Path(__file__).parents[2] / "README.md"
SVG = "{http://www.w3.org/2000/svg}"
ARROWS = {"reads": "-->", "follows": "==>", "replays": "-.->", "writes": "-->"}


def blocks(text: str) -> dict[str, list[str]]:
    """The box of each stage in the text, as its lines."""
    found = {}
    for chunk in text.split("\n\n"):
        lines = chunk.splitlines()
        if len(lines) > 2 and "| " in lines[1]:
            found[lines[1].split("|")[1].strip()] = lines
    return found


def test_text_shows_every_topic_stage_and_arrow() -> None:
    text = drawing.text()
    stages = blocks(text)
    assert set(stages) == {node.name for node in NODES}
    for topic in TOPICS:
        assert re.search(rf"^  {re.escape(topic.name)} .*{re.escape(topic.summary)}$", text, re.MULTILINE)
    for arrow in drawing.arrows():
        lines = stages[arrow.node.name]
        if arrow.kind == "writes":
            written = {name for line in lines for name in line.partition("| --->")[2].strip().split(", ")}
            assert arrow.topic.name in written, str(arrow)
        else:
            start = f"{arrow.topic.name} {INTO[arrow.kind]} |"
            assert any(line.strip().startswith(start) for line in lines), str(arrow)


def test_text_fits_a_wide_terminal_and_is_plain() -> None:
    text = drawing.text()
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 120


def test_mermaid_shows_every_topic_stage_and_arrow() -> None:
    lines = [line.strip() for line in drawing.mermaid().splitlines()]
    for topic in TOPICS:
        assert any(f'(["{topic.name}<br/>' in line for line in lines), topic.name
    for node in NODES:
        assert any(f'["<b>{node.name}</b>' in line and node.summary in line for line in lines), node.name
    for arrow in drawing.arrows():
        if arrow.bookkeeping:
            stage = next(line for line in lines if f"<b>{arrow.node.name}</b>" in line)
            assert re.search(rf"<i>{arrow.kind} [^<]*\b{arrow.topic.name}\b", stage), str(arrow)
        else:
            source, target = (re.sub(r"\W", "_", name) for name in (arrow.source, arrow.target))
            assert f"{source} {ARROWS[arrow.kind]} {target}" in lines, str(arrow)


def test_svg_shows_every_topic_stage_and_arrow_once() -> None:
    page = ElementTree.fromstring(drawing.svg())  # noqa: S314 - our own page
    titles = [title.text or "" for title in page.iter(f"{SVG}title")]
    expected = [str(arrow) for arrow in drawing.arrows()]
    expected += [f"stage {node.name}" for node in NODES]
    expected += [f"topic {topic.name}: {topic.summary}" for topic in TOPICS]
    assert sorted(titles) == sorted(expected)


def test_svg_has_room_for_everything() -> None:
    page = ElementTree.fromstring(drawing.svg())  # noqa: S314 - our own page
    width, height = float(page.attrib["width"]), float(page.attrib["height"])
    boxes = [
        [float(box.attrib[name]) for name in ("x", "y", "width", "height")]
        for group in page.iter(f"{SVG}g")
        if group.attrib["class"].split()[0] in ("stage", "topic")
        for box in group.findall(f"{SVG}rect")
    ]
    assert len(boxes) == len(NODES) + len(TOPICS)
    for number, (x, y, w, h) in enumerate(boxes):
        assert x >= 0
        assert x + w <= width
        assert y >= 0
        assert y + h <= height
        for other_x, other_y, other_w, other_h in boxes[:number]:
            apart = x >= other_x + other_w or other_x >= x + w or y >= other_y + other_h or other_y >= y + h
            assert apart


def test_readme_shows_the_drawing() -> None:
    text = README.read_text(encoding="utf-8")
    shown = dict(re.findall(r"<!-- faceline map --(text|mermaid) -->\n+```\w*\n(.*?)```", text, re.DOTALL))
    pictures = re.findall(r"!\[[^\]]*\]\((\S+\.svg)\)", text)
    if not shown and not pictures:
        pytest.skip("the README shows no drawing yet")
    for kind, block in shown.items():
        assert block == {"text": drawing.text, "mermaid": drawing.mermaid}[kind]()
    for picture in pictures:
        assert (README.parent / picture).read_text(encoding="utf-8") == drawing.svg()
