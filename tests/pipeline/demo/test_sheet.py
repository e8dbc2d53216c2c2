"""The contact sheet: a row per chapter, boxes where the faces are, readable labels."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.image import encode_jpeg
from pipeline.demo.sheet import CAPTION, KNOWN, MARGIN, TITLE, UNKNOWN, WIDTH, draw, write
from pipeline.demo.snapshots import Chapter, Mark, Snapshot
from pipeline.records import Box
from tests.pipeline.demo.records import NOW, frame_id

PICTURE = encode_jpeg(np.full((360, 640, 3), 128, np.uint8))


def chapter(title: str, *marks: Mark) -> Chapter:
    made = Chapter(title, NOW)
    for number, mark in enumerate(marks):
        made.snapshots[frame_id(number)] = Snapshot(NOW, PICTURE, {mark.track: mark})
    return made


def mark(box: Box, *, known: bool = True, track: str = "t", label: str = "Ada") -> Mark:
    return Mark(track, box, label, "0.912", known)


def colours(image: Image.Image) -> set[str]:
    found = image.getcolors(1 << 24) or []
    return {"#{:02x}{:02x}{:02x}".format(*colour) for _, colour in found if isinstance(colour, tuple)}


def test_a_row_per_chapter_and_a_column_per_picture() -> None:
    rows = [
        chapter("one", mark(Box(100, 100, 120, 120)), mark(Box(300, 100, 120, 120), track="u", known=False)),
        chapter("two", mark(Box(100, 100, 120, 120))),
        chapter("nobody"),
    ]
    sheet = draw(rows)
    tile = round(360 * WIDTH / 640) + CAPTION
    assert sheet.size == (MARGIN + 2 * (WIDTH + MARGIN), 2 * (TITLE + tile + MARGIN) + 2 * MARGIN + CAPTION)
    assert {KNOWN, UNKNOWN} <= colours(sheet)


@pytest.mark.parametrize("box", [Box(0, 0, 120, 120), Box(600, 0, 40, 360), Box(600, 300, 200, 200)])
def test_a_box_at_the_edge_does_not_spoil_its_neighbours(box: Box) -> None:
    sheet = draw([chapter("one", mark(box, label="Somebody With A Rather Long Name"), mark(box, track="u"))])
    top = MARGIN + TITLE
    gap = sheet.crop((MARGIN + WIDTH, top, MARGIN + WIDTH + MARGIN, top + 200))
    assert len(colours(gap)) == 1


def test_nobody_seen_is_no_sheet() -> None:
    with pytest.raises(ValueError, match="nobody was seen"):
        draw([chapter("one")])


def test_the_file_is_a_png_for_its_owner(tmp_path: Path) -> None:
    write([chapter("one", mark(Box(1, 1, 99, 99)))], tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").stat().st_mode & 0o777 == 0o600
    with Image.open(tmp_path / "sheet.png") as read:
        assert read.format == "PNG"
