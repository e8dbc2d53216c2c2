"""Builds each stage from its parts: the one `match` that knows them all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from connectors.keystore import KeyStore
from models.catalogue import Catalogue
from pipeline.settings import Settings, SettingsError
from pipeline.stages.contract import KeptStage, Stage
from pipeline.stages.control import Control
from pipeline.stages.detect import Detect
from pipeline.stages.enrol import Enrol
from pipeline.stages.erase import Erase
from pipeline.stages.expire import Expire
from pipeline.stages.identify import Identify
from pipeline.stages.tracks import TrackPolicy
from pipeline.topology import STAGES
from pipeline.views import LiveSet
from pipeline.wiring.galleries import Templates, gallery

# A stage that was killed is missed until its process has loaded again: each loads its own engines, where it is built.
if TYPE_CHECKING:
    from connectors.milvus import Milvus
    from models.pack import FaceModels
    from pipeline.receipts import Signer
    from pipeline.records import Bound


@dataclass(frozen=True, slots=True)
class Parts:
    """What stages are made of; models and Milvus are opened by the stages that need them."""

    settings: Settings
    keys: KeyStore
    secret: bytes
    catalogue: Catalogue
    models: Callable[[], FaceModels]
    milvus: Callable[[], Milvus]
    signer: Callable[[], Signer]
    bounds: Callable[[], tuple[Bound, ...]]


def stage(name: str, parts: Parts, live: LiveSet) -> Stage[Any, Any] | KeptStage[Any, Any]:
    """The stage of that name; SettingsError naming the known ones when there is none."""
    match name:
        case "detect":
            return _detect(parts)
        case "identify":
            return _identify(parts, live)
        case "enrol":
            return _enrol(parts)
        case "expire":
            return Expire()
        case "control":
            return Control()
        case "erase":
            return _erase(parts, live)
        case _:
            raise SettingsError([f"there is no stage {name!r}; there are: {', '.join(STAGES)}"])


def _detect(parts: Parts) -> Detect:
    from pipeline.wiring.eye import ModelContinuity, ModelEye

    wanted, models = parts.settings.detect, parts.models()
    policy = TrackPolicy(wanted.confirm_after, timedelta(seconds=wanted.track_gap), wanted.better_by)
    eye = ModelEye(models, parts.keys, parts.secret, parts.settings.models.recognition_model)
    return Detect(eye, ModelContinuity(models), policy, wanted.batch)


def _identify(parts: Parts, live: LiveSet) -> Identify:
    wanted = parts.settings.identify
    templates = Templates(parts.keys, parts.catalogue)
    return Identify(
        gallery=gallery(wanted.engine, parts.catalogue, templates, live, parts.milvus),
        live=live,
        thresholds={pack.name: pack.threshold for pack in parts.catalogue.packs} | wanted.thresholds,
        open_template=templates.of_face,
        keep=timedelta(seconds=wanted.keep),
        candidates=wanted.candidates,
    )


def _enrol(parts: Parts) -> Enrol:
    from pipeline.wiring.galleries.index import MilvusIndex
    from pipeline.wiring.galleries.rotation import Rotations

    index = MilvusIndex(parts.milvus(), parts.catalogue, Rotations(parts.keys))
    return Enrol(index, Templates(parts.keys, parts.catalogue).enrolled)


def _erase(parts: Parts, live: LiveSet) -> Erase:
    settings = parts.settings
    patience = timedelta(seconds=settings.erase.patience)
    return Erase(settings.deployment().scale.streams, live, parts.signer(), parts.bounds, patience)
