"""Reads the catalogue of model packs: which files, under which licence, prepared how, with which threshold.

A threshold belongs to its model. It is therefore a fact of the catalogue, beside the checksum, and no global setting.
"""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from models import ModelError
from models.conversion import Recipe

CATALOGUE = Path(__file__).with_name("catalogue.toml")

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]  # also a file name: no folders, no dot in front
Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Positive = Annotated[int, Meta(gt=0)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Metric = Literal["cosine", "l2"]


class PackageFile(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="package"):
    """A file inside an installed Python distribution, which is found but never imported."""

    package: str
    path: str


class Download(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="url"):
    """A file that its author publishes."""

    url: str


class Converted(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="converted"):
    """A file made here from others by a recipe of models.conversion."""

    recipe: Recipe
    sources: tuple["ModelFile", ...]


class ModelFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A file with its size in bytes; the checksum of a converted one is pinned, too, for conversions are exact."""

    name: Name
    sha256: Sha256
    size: Positive
    licence: str
    source: PackageFile | Download | Converted


class YuNetSpec(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="yunet"):
    model: str
    score: Fraction
    overlap: Fraction = 0.3
    longest_side: Positive = 640


class ScrfdSpec(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="scrfd"):
    model: str
    score: Fraction
    overlap: Fraction = 0.4
    longest_side: Positive = 640


class MmodSpec(Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="mmod"):
    """`upsample` doubles the searched image: faces from 48 px instead of 96, at four times the time."""

    model: str
    landmarks: str
    score: Fraction = 0.0
    overlap: Fraction = 0.34
    longest_side: Positive = 640
    upsample: bool = False


class EmbedderSpec(Struct, frozen=True, forbid_unknown_fields=True):
    """Pixels go in as (pixel - mean) * scale, aligned to one of the templates of models.align."""

    model: str
    template: Literal["arcface", "omz", "dlib"]
    colour: Literal["bgr", "rgb"]
    mean: float = 0.0
    scale: float = 1.0


class Pack(Struct, frozen=True, forbid_unknown_fields=True):
    """A detector and a recogniser that belong together.

    `similarity` is the same notion everywhere, higher = more alike: with metric "cosine" the cosine of two unit vectors
    (-1..1), with "l2" 1 - Euclidean distance (at most 1). `threshold` is on it: at or above, two templates are called
    one person; `strangers` is what two persons have on average. `minimum_face` is the height in px, in the searched
    image (at most `longest_side` long), from which the detector misses hardly a frontal face. `licence_accept`: the
    weights may only be fetched by who accepts the licence.
    """

    name: Name
    licence: str
    licence_accept: bool
    dimension: Positive
    metric: Metric
    threshold: float
    strangers: float
    minimum_face: Positive
    detector: YuNetSpec | ScrfdSpec | MmodSpec
    embedder: EmbedderSpec
    files: tuple[ModelFile, ...]

    def __post_init__(self) -> None:
        known = {file.name for file in self.files}
        wanted = {self.detector.model, self.embedder.model}
        if isinstance(self.detector, MmodSpec):
            wanted.add(self.detector.landmarks)
        if wanted != known:
            raise ValueError(f"pack {self.name} uses the files {sorted(wanted)} but lists {sorted(known)}")
        if not self.strangers < self.threshold < 1:
            raise ValueError(
                f"pack {self.name} has the threshold {self.threshold:g}, "
                f"which is not between strangers, {self.strangers:g}, and 1"
            )


class Catalogue(Struct, frozen=True, forbid_unknown_fields=True):
    """All packs that can be named in the settings."""

    packs: tuple[Pack, ...]

    def __post_init__(self) -> None:
        names = [pack.name for pack in self.packs]
        if len(set(names)) != len(names):
            raise ValueError(f"two packs have the same name among {names}")

    def pack(self, name: str) -> Pack:
        """The pack of that name. Raises ModelError that names the known ones."""
        for pack in self.packs:
            if pack.name == name:
                return pack
        raise ModelError(
            f"there is no model pack {name!r}: choose one of {', '.join(pack.name for pack in self.packs)}"
        )


def load_catalogue() -> Catalogue:
    """The catalogue that is installed with this package."""
    return parse_catalogue(CATALOGUE.read_bytes())


def parse_catalogue(content: bytes) -> Catalogue:
    """A catalogue from TOML; raises ModelError for an unknown key, a missing one or a value out of range."""
    try:
        return msgspec.toml.decode(content, type=Catalogue)
    except msgspec.MsgspecError as error:
        raise ModelError(f"the model catalogue is wrong: {error}") from error
