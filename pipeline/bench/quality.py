"""Whether the level of quality foretells recognition: false non-matches with and without the faces it calls low.

Photos on which recognisers fail are rare among portraits, so they are made: smaller, blurred, darker, brighter. A
degraded photo is compared with every other photo as it is.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from models.detection import Detection, shrink
from models.image import decode
from models.pack import FaceModels, load
from models.quality import Level, quality
from models.store import ModelStore
from models.tracker import associate
from pipeline import wiring
from pipeline.bench import Bench, Row
from pipeline.bench.photos import persons

NAME = "quality"
LEVELS: tuple[Level, ...] = ("low", "medium", "high")
LONGEST_SIDE = 1000  # px of a photo before it is degraded: more is of no use to any chip, and slow to blur

Image = NDArray[np.uint8]
Degradation = Callable[[Image, float], Image]  # of an image whose face has this distance of the eyes, px


def _smaller(image: Image, eyes: float, *, pixels: float) -> Image:
    scale = min(1.0, pixels / eyes)
    return np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def _blurred(image: Image, eyes: float, *, share: float) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), share * eyes), np.uint8)


def _lit(image: Image, _: float, *, factor: float) -> Image:
    return np.asarray(np.clip(image * factor, 0, 255), np.uint8)


DEGRADATIONS: Mapping[str, Degradation] = {
    **{f"eyes {pixels} px apart": partial(_smaller, pixels=pixels) for pixels in (20, 14, 10)},
    **{f"blurred by {share:.0%} of that": partial(_blurred, share=share) for share in (0.04, 0.08, 0.12)},
    **{f"light times {factor:g}": partial(_lit, factor=factor) for factor in (0.35, 0.2, 0.1, 2.0, 3.0)},
}

SHORT = ("eyes 10 px apart", "blurred by 8% of that", "light times 0.2")


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """A face that was found: whose, in which photo, degraded how ("" for not), with level and template."""

    person: str
    photo: Path
    degradation: str
    level: Level
    template: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two faces compared; `level` is the lower one's."""

    degradation: str
    same: bool
    accepted: bool
    level: Level


@dataclass(frozen=True, slots=True)
class Qualities:
    """What came of all comparisons, at the model's threshold; `unfound` counts faces that detection lost."""

    pack: str
    levels: Mapping[str, Counter[Level]]
    comparisons: Sequence[Comparison]
    unfound: int

    def of(self, *, degraded: bool) -> list[Comparison]:
        """The comparisons of photos as they are, or of degraded ones."""
        return [each for each in self.comparisons if bool(each.degradation) == degraded]

    @property
    def sound(self) -> bool:
        """Whether leaving out the low ones spares degraded photos false non-matches, and costs none elsewhere."""
        plain, degraded = self.of(degraded=False), self.of(degraded=True)
        spares = _no_worse(non_matches(degraded, "medium"), non_matches(degraded))
        return spares and _no_worse(non_matches(plain, "medium"), non_matches(plain))

    def rows(self) -> list[Row]:
        rows = [row for degraded in (False, True) for row in self._rates(degraded=degraded)]
        for name, counts in self.levels.items():
            rate = _percent(non_matches([each for each in self.comparisons if each.degradation == name]))
            told = ", ".join(f"{counts[level]} {level}" for level in LEVELS)
            rows.append(Row(NAME, f"{self.pack}, {name or 'as they are'}: levels, FNMR", f"{told}; {rate}"))
        return [*rows, Row(NAME, f"{self.pack}: degraded faces not found", str(self.unfound))]

    def _rates(self, *, degraded: bool) -> Iterator[Row]:
        chosen = self.of(degraded=degraded)
        what = f"{self.pack}, {'degraded photos' if degraded else 'photos as they are'}"
        whole = non_matches(chosen)
        yield Row(NAME, f"{what}: FNMR", _percent(whole))
        spared = non_matches(chosen, "medium")
        yield Row(NAME, f"{what}: FNMR without low", _percent(spared), "no more", _no_worse(spared, whole))
        yield Row(NAME, f"{what}: FNMR of high only", _percent(non_matches(chosen, "high")))
        yield Row(NAME, f"{what}: FMR", _percent(matches(chosen)))


@dataclass(frozen=True, slots=True)
class Rate:
    """How many of how many comparisons went wrong."""

    wrong: int
    of: int


def non_matches(comparisons: Sequence[Comparison], least: Level = "low") -> Rate:
    """The false non-matches: comparisons of one person that were refused, both faces of at least this level."""
    wanted = [each for each in comparisons if each.same and LEVELS.index(each.level) >= LEVELS.index(least)]
    return Rate(sum(not each.accepted for each in wanted), len(wanted))


def matches(comparisons: Sequence[Comparison]) -> Rate:
    """The false matches: comparisons of two persons that were accepted."""
    strangers = [each for each in comparisons if not each.same]
    return Rate(sum(each.accepted for each in strangers), len(strangers))


async def run(bench: Bench, pack: str, folder: Path, *, degradations: Sequence[str] = tuple(DEGRADATIONS)) -> Qualities:
    """Compare every photo of the folder, and every degraded one, with every other photo."""
    photos = persons(folder)
    return await asyncio.to_thread(_compared, bench, pack, photos, degradations)


def _compared(bench: Bench, pack: str, photos: Mapping[str, Sequence[Path]], degradations: Sequence[str]) -> Qualities:
    described = wiring.catalogue().pack(pack)
    models = load(described, ModelStore(bench.cache / "models").ensure(described, source=bench.weights))
    faces, unfound = list[Face](), 0
    for person, files in photos.items():
        bench.tell(f"{pack}: measuring the photos of {person}")
        for file in files:
            for face in _measured(models, person, file, degradations):
                if face is None:
                    unfound += 1
                else:
                    faces.append(face)
    levels = {name: Counter(face.level for face in faces if face.degradation == name) for name in ("", *degradations)}
    return Qualities(pack, levels, list(_pairs(models, faces)), unfound)


def _measured(models: FaceModels, person: str, file: Path, degradations: Sequence[str]) -> Iterator[Face | None]:
    """The largest face of a photo, then what is found of it in each degraded one; nothing where there is none."""
    image, _ = shrink(decode(file.read_bytes()), LONGEST_SIDE)
    found = max(models.detect(image), key=lambda face: face.box[2] * face.box[3], default=None)
    if found is None:
        return
    yield _face(models, image, found, person, file, "")
    eyes = float(np.linalg.norm(found.landmarks[1] - found.landmarks[0]))
    for name in degradations:
        worse = DEGRADATIONS[name](image, eyes)
        again = _again(models.detect(worse), found, worse.shape[0] / image.shape[0])
        yield None if again is None else _face(models, worse, again, person, file, name)


def _again(faces: Sequence[Detection], found: Detection, scale: float) -> Detection | None:
    """The one among the faces that lies where the found one was."""
    boxes = np.array([face.box for face in faces], np.float64).reshape(-1, 4)
    pairs = associate(np.array([found.box]) * scale, boxes)
    return faces[pairs[0][1]] if pairs else None


def _face(models: FaceModels, image: Image, found: Detection, person: str, photo: Path, degradation: str) -> Face:
    template = models.embed(image, [found.landmarks])[0]
    return Face(person, photo, degradation, quality(image, found).level, template)


def _pairs(models: FaceModels, faces: Sequence[Face]) -> Iterator[Comparison]:
    plain = [face for face in faces if not face.degradation]
    degraded = [face for face in faces if face.degradation]
    crossed = ((one, other) for one in degraded for other in plain if one.photo != other.photo)
    for one, other in (*combinations(plain, 2), *crossed):
        accepted = models.similarity(one.template, other.template) >= models.threshold
        level = min(one.level, other.level, key=LEVELS.index)
        yield Comparison(one.degradation, one.person == other.person, accepted, level)


def _no_worse(part: Rate, whole: Rate) -> bool:
    """Whether the part goes wrong no more often; a part of nothing does not."""
    return part.wrong * whole.of <= whole.wrong * part.of


def _percent(rate: Rate) -> str:
    return f"{100 * rate.wrong / rate.of:.2f} % of {rate.of}" if rate.of else "none compared"
