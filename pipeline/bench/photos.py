"""Which photos of a folder show the same person: the truth that an evaluation needs."""

import tomllib
from pathlib import Path

from pipeline.operations import Refused

# Of the photos in deepface's tests (MIT licence), by its author's own list; master.csv there pairs a part of them.
LABELS = Path(__file__).with_name("photos.toml")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
LEAST = 2


def persons(folder: Path) -> dict[str, list[Path]]:
    """The photos of every person with at least two: one folder each, or those of deepface's tests/dataset.

    Refused where the folder is neither.
    """
    own = (
        {entry.name: _photos(entry) for entry in sorted(folder.iterdir()) if entry.is_dir()} if folder.is_dir() else {}
    )
    labelled = {name: [folder / file for file in files] for name, files in labels().items()}
    found = own or {name: [file for file in files if file.is_file()] for name, files in labelled.items()}
    several = {name: files for name, files in found.items() if len(files) >= LEAST}
    if not several:
        raise Refused(f"{folder}: no photos to evaluate; give a folder with one folder per person, two photos in each")
    return several


def labels() -> dict[str, list[str]]:
    """The persons of deepface's test photos, by number, and the names of their files."""
    listed = tomllib.loads(LABELS.read_text(encoding="utf-8"))["persons"]
    return {f"person {number}": [f"img{each}.jpg" for each in images] for number, images in enumerate(listed, start=1)}


def _photos(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.suffix.lower() in SUFFIXES)
