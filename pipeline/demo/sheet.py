"""Draws the contact sheet: a row per chapter, with boxes, names and similarities on the pictures."""

import os
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from pipeline.demo.screen import clock
from pipeline.demo.snapshots import Chapter, Mark, Snapshot, chosen

WIDTH = 400  # pixels of one picture; its height follows the video's own shape
MARGIN = 16
TITLE = 44
CAPTION = 26
PAPER, INK, GREY = "#f7f6f2", "#20242a", "#7d828a"
KNOWN, UNKNOWN = "#2f9e5b", "#e0a100"
NOTE = "Opened from the sealed frames while their keys lived. Faceline keeps no image: this file is the only one."


def draw(chapters: Sequence[Chapter]) -> Image.Image:
    """The sheet, RGB. Chapters without a picture are left out; ValueError where none has any."""
    rows = [
        (chapter.title, [_tile(each) for each in chosen(chapter.snapshots.values())])
        for chapter in chapters
        if chapter.snapshots
    ]
    if not rows:
        raise ValueError("a contact sheet needs a picture: nobody was seen")
    across = max(len(tiles) for _, tiles in rows)
    height = sum(TITLE + max(tile.height for tile in tiles) + MARGIN for _, tiles in rows)
    sheet = Image.new("RGB", (MARGIN + max(2, across) * (WIDTH + MARGIN), height + 2 * MARGIN + CAPTION), PAPER)
    pen, top = ImageDraw.Draw(sheet), MARGIN
    for title, tiles in rows:
        pen.text((MARGIN, top + 8), title, INK, _font(22))
        top += TITLE
        for column, tile in enumerate(tiles):
            sheet.paste(tile, (MARGIN + column * (WIDTH + MARGIN), top))
        top += max(tile.height for tile in tiles) + MARGIN
    pen.text((MARGIN, top), NOTE, GREY, _font(14))
    return sheet


def write(chapters: Sequence[Chapter], path: Path) -> None:
    """Draw the sheet into a PNG that only its owner may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        draw(chapters).save(file, "PNG")


def _tile(snapshot: Snapshot) -> Image.Image:
    picture = Image.open(BytesIO(snapshot.jpeg)).convert("RGB")
    scale = WIDTH / picture.width
    size = (WIDTH, round(picture.height * scale))
    tile = Image.new("RGB", (WIDTH, size[1] + CAPTION), PAPER)
    tile.paste(picture.resize(size, Image.Resampling.LANCZOS))
    pen = ImageDraw.Draw(tile)
    for mark in snapshot.marks.values():
        _box(pen, mark, scale, size)
    pen.text((0, size[1] + 5), clock(snapshot.taken_at), GREY, _font(14))
    return tile


def _box(pen: ImageDraw.ImageDraw, mark: Mark, scale: float, size: tuple[int, int]) -> None:
    colour, font = KNOWN if mark.known else UNKNOWN, _font(15)
    left, top = mark.box.left * scale, mark.box.top * scale
    right, bottom = left + mark.box.width * scale, top + mark.box.height * scale
    pen.rectangle((left, top, right, bottom), outline=colour, width=3)
    text = f"{mark.label}  {mark.likeness}".strip()
    width, high = pen.textlength(text, font) + 12, 22
    # The label stays on the picture, wherever its face is.
    x = min(max(0.0, left - 1), max(0.0, size[0] - width))
    y = top - high if top >= high else min(bottom, size[1] - high)
    pen.rectangle((x, y, x + width, y + high), fill=colour)
    pen.text((x + 6, y + 2), text, "white", font)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
