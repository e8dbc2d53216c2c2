"""What the packs of the catalogue say about two templates: how alike, and how sure that makes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from models.catalogue import Catalogue, Metric
from models.confidence import Calibration, calibration


def similarities(metric: Metric, probes: NDArray[np.float32], templates: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of probes (n, dimension) to templates (m, dimension): (n, m), the cosine, or 1 - Euclidean distance."""
    if metric == "cosine":
        return probes @ templates.T
    # Differences one by one: what a matrix product would save, it loses on neighbours that nearly coincide. They are
    # taken in double precision, of a copy that nobody else would wipe.
    wide = templates.astype(np.float64)
    try:
        return (1.0 - cdist(probes, wide)).astype(np.float32)
    finally:
        wide.fill(0.0)


@dataclass(frozen=True, slots=True)
class PackComparison:
    """Every pack's metric and calibration, by its name."""

    metrics: Mapping[str, Metric]
    calibrations: Mapping[str, Calibration]

    @classmethod
    def of(cls, catalogue: Catalogue, thresholds: Mapping[str, float]) -> "PackComparison":
        """Of all packs; `thresholds` are the operator's own. Raises ModelError where one of these is of no use."""
        return cls(
            {pack.name: pack.metric for pack in catalogue.packs},
            {pack.name: calibration(pack, thresholds.get(pack.name)) for pack in catalogue.packs},
        )

    def similarities(
        self, pack: str, probes: NDArray[np.float32], templates: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        return similarities(self.metrics[pack], probes, templates)

    def confidence(self, pack: str, similarity: float) -> float:
        return self.calibrations[pack].confidence(similarity)

    def threshold(self, pack: str) -> float:
        return self.calibrations[pack].threshold
