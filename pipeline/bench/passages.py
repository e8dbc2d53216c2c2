"""Who is named rightly: persons enrolled from one photo each, and a clip of their other photos."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from connectors.footage import Placement, Scene, View, make_clip
from pipeline.bench import Bench, Row, over
from pipeline.bench.audit import Audit, audited
from pipeline.bench.deployment import deployed
from pipeline.bench.gallery import from_photos
from pipeline.bench.photos import persons
from pipeline.topology import FACES, IDENTIFICATIONS

NAME = "passages"
CAMERA = "people"
FPS = 5
SIZE = (1280, 720)
GOAL = 0.8
DRIFT = 0.02  # of the picture, from the beginning to the end of a passage

Fate = Literal["named", "unknown", "unseen", "wrong"]


@dataclass(frozen=True, slots=True)
class Passages:
    """What became of every passage: the person's name, the photo that was shown, and how it was named."""

    pack: str
    persons: int
    fates: Mapping[tuple[str, str], Fate]

    def count(self, fate: Fate) -> int:
        """How many passages had this fate."""
        return sum(each == fate for each in self.fates.values())

    @property
    def named(self) -> float:
        """The share of passages that were named rightly, 0..1."""
        return self.count("named") / len(self.fates)

    @property
    def sound(self) -> bool:
        return self.count("wrong") == 0

    def rows(self) -> list[Row]:
        known = f"{self.pack}: of {len(self.fates)} passages of {self.persons} persons"
        named = over(NAME, f"{known}: named rightly", 100 * self.named, 100 * GOAL, unit=" %", digits=0)
        wrong = self.count("wrong")
        return [
            named,
            Row(NAME, f"{known}: named wrongly", str(wrong), "0", wrong == 0),
            Row(NAME, f"{known}: unknown, no track", f"{self.count('unknown')}, {self.count('unseen')}"),
        ]


async def run(bench: Bench, pack: str, folder: Path, *, seconds: float = 2.0) -> Passages:
    """Enrol each person from one photo, show each other photo for `seconds`, and see who was named.

    A passage is named by the majority of its tracks; one track that names somebody else makes it wrong.
    """
    photos = persons(folder)
    clip = bench.folder / f"passages-{pack}-{seconds:g}.mp4"
    camera = {"name": CAMERA, "file": str(clip), "fps": FPS, "policy": "all"}
    async with (
        deployed(bench, pack, [camera]) as deployment,
        audited(deployment, (FACES, IDENTIFICATIONS)) as (audit, follower),
    ):
        bench.tell(f"{pack}: enrolling {len(photos)} persons")
        async with deployment.client() as client:
            enrolled = await from_photos(deployment, client, photos)
        shown = [(name, photo) for name, files in photos.items() for photo in files if photo != enrolled[name][1]]
        bench.tell(f"{pack}: making a clip of {len(shown)} photos")
        await asyncio.to_thread(_film, clip, [photo for _, photo in shown], seconds)
        bench.tell(f"{pack}: the camera plays")
        await deployment.played(CAMERA)
        await follower.catch_up()
        await audit.answered()
    told = _told(audit, round(seconds * FPS))
    fates = {
        (name, photo.name): fate(enrolled[name][0], told.get(number, [])) for number, (name, photo) in enumerate(shown)
    }
    return Passages(pack, len(photos), fates)


def _film(clip: Path, photos: Sequence[Path], seconds: float) -> None:
    # As many frames a second as are sampled: a frame's number is its place in the clip.
    make_clip(clip, [Scene(seconds, (_placed(photo),)) for photo in photos], size=SIZE, fps=FPS)


def _placed(photo: Path) -> Placement:
    """A photo as large as it fits, gliding a little."""
    image = cv2.imread(str(photo))
    if image is None:
        raise OSError(f"{photo}: no image that can be read")
    height, width = image.shape[:2]
    whole = min(1.0, float(Fraction(*SIZE) * height / width))
    return Placement(image.astype(np.uint8, copy=False), View(height=whole), View(x=0.5 + DRIFT, height=whole))


def _told(audit: Audit, frames: int) -> dict[int, list[str | None]]:
    """By passage: whom each of its tracks names in the end, None for unknown."""
    newest = {each.identification.track_id: each.identification for each in audit.told}
    places = {each.face.face_id: each.face.shot.frame.sequence for each in audit.faces if each.face.shot is not None}
    passages: dict[int, list[str | None]] = {}
    for told in newest.values():
        passages.setdefault(places[told.face_id] // frames, []).append(told.person_id)
    return passages


def fate(person: str, told: Sequence[str | None]) -> Fate:
    """What became of a passage of `person`, whose tracks name these, None for unknown."""
    if any(each not in (person, None) for each in told):
        return "wrong"
    if not told:
        return "unseen"
    return "named" if 2 * told.count(person) > len(told) else "unknown"
