"""Whose photos are whose, in the operator's files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.operations import Refused

PHOTO_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """A person to enrol, and the files that show the person."""

    name: str
    photos: tuple[Path, ...]


def one(name: str, photos: Sequence[Path]) -> Wanted:
    """One person from the files that were named; Refused where one of them does not exist."""
    for photo in photos:
        if not photo.is_file():
            raise Refused(f"{photo}: no such file")
    return Wanted(name, tuple(photos))


def from_folder(folder: Path) -> list[Wanted]:
    """A person per folder (its photos) or per photo (the file's name); hidden files and other types are left out."""
    if not folder.is_dir():
        raise Refused(f"{folder}: no such folder")
    wanted = []
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir() and (photos := _photos(entry)):
            wanted.append(Wanted(entry.name, photos))
        elif entry.suffix.lower() in PHOTO_SUFFIXES:
            wanted.append(Wanted(entry.stem, (entry,)))
    if not wanted:
        raise Refused(f"{folder}: no photos; put one folder or one photo per person there")
    return wanted


def _photos(folder: Path) -> tuple[Path, ...]:
    return tuple(sorted(each for each in folder.iterdir() if each.suffix.lower() in PHOTO_SUFFIXES))
