"""Looks for what must not stand in the clear in any file of a deployment: names, templates, keys."""

import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.erasing.encodings import Vector, forms
from pipeline.erasing.search import Needle, Search


@dataclass(frozen=True)
class Secrets:
    """What is known of somebody by who enrolled her: words, templates as her model made them, unwrapped keys."""

    words: Sequence[str]
    templates: Sequence[Vector]
    keys: Sequence[bytes]

    def needles(self) -> Mapping[str, bytes]:
        found: dict[str, bytes] = {}
        for word in self.words:
            for code in ("utf-8", "utf-16-le", "utf-16-be"):
                found[f"{word!r} in {code}"] = word.encode(code)
        for number, key in enumerate(self.keys):
            found |= {f"key {number}": key, f"key {number} in hex": key.hex().encode()}
        for number, template in enumerate(self.templates):
            found |= {f"template {number}, {form}": text for form, text in forms(template).items()}
        return found


def leaks(secrets: Secrets, folders: Iterable[Path]) -> list[str]:
    """Each thing that is found, and in which file."""
    needles = secrets.needles()
    # Long ones also in part: a file may be written while it is read.
    search = Search([Needle(name, text) for name, text in needles.items() if len(text) >= 64])
    found = []
    for file in (each for folder in folders for each in folder.rglob("*")):
        try:
            content = written(file) if file.is_file() else b""
        except FileNotFoundError:
            continue
        whole = [name for name, text in needles.items() if text in content]
        found += [
            f"{name}: {file}" for name in dict.fromkeys([*whole, *(hit.name for hit in search.pieces([content]))])
        ]
    return found


def written(file: Path) -> bytes:
    """The content up to the last byte that was ever written.

    A running Kafka has some gigabytes of indexes that are holes but for their beginning.
    """
    end = 0
    with file.open("rb") as opened:
        with suppress(OSError):  # there is no data behind `end`
            while True:
                end = opened.seek(opened.seek(end, os.SEEK_DATA), os.SEEK_HOLE)
        opened.seek(0)
        return opened.read(end)
