"""The galleries: in Milvus, or exact in memory; and what opens and compares templates for both."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING

from models.catalogue import Catalogue
from pipeline.galleries import Gallery
from pipeline.settings.tables import Engine
from pipeline.views import LiveSet
from pipeline.wiring.galleries.opening import Templates

__all__ = ["Templates", "gallery"]

if TYPE_CHECKING:
    from connectors.milvus import Milvus


def gallery(
    engine: Engine,
    catalogue: Catalogue,
    templates: Templates,
    live: LiveSet,
    milvus: Callable[[], Milvus],
    *,
    patience: float = inf,
) -> Gallery:
    """The gallery that the settings ask for; an exact one follows `live`, from whatever that shows already on.

    `patience` is how many seconds a search waits for an absent engine.
    """
    # Each process loads its own engine alone.
    match engine:
        case "milvus":
            from pipeline.wiring.galleries.milvus import MilvusGallery
            from pipeline.wiring.galleries.rotation import Rotations

            return MilvusGallery(milvus(), Rotations(templates.keys), patience)
        case "exact":
            from pipeline.wiring.galleries.exact import ExactGallery

            return ExactGallery.following(live, templates.enrolled, catalogue)
