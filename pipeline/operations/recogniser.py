"""What recognition is given besides a client: the faces that have not expired, a gallery, and what similarity means."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.galleries import Candidate, Gallery
from pipeline.operations import Refused
from pipeline.operations.faces import Faces, OpenedFace, Vector
from pipeline.operations.indexing import Indexing
from pipeline.operations.training import Trainer
from pipeline.records import Recognition, Template

# The Face API's: two faces are one person's from this confidence on.
SAME_PERSON = 0.5


class Comparison(Protocol):
    """How alike templates of a model pack are, and how sure that makes of their being one person's."""

    def similarities(
        self, pack: str, probes: NDArray[np.float32], templates: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Of probes (n, dimension) to templates (m, dimension): (n, m), the pack's own similarity, higher is more."""
        ...

    def confidence(self, pack: str, similarity: float) -> float:
        """0..1, never falling where the similarity rises, 0.5 at the similarity from which the pack says one person."""
        ...

    def threshold(self, pack: str) -> float:
        """The similarity from which the pack says one person."""
        ...


@dataclass(frozen=True, slots=True)
class Recogniser:
    """One of a process; `open_template` gives an enrolled vector (dimension,), None once its key is destroyed."""

    faces: Faces
    gallery: Gallery
    comparison: Comparison
    trainer: Trainer
    indexing: Indexing
    open_template: Callable[[Template], Vector | None]

    def compared(self, probes: Sequence[OpenedFace], templates: Sequence[Template]) -> list[list[Candidate]]:
        """Each probe's candidates, best first: all the enrolled templates of the probes' recognition that open; blocks.

        For few templates, which it opens without asking any index what it knows already.
        """
        recognition = probes[0].recognition
        opened = [
            (template, vector)
            for template in templates
            if template.recognition == recognition and (vector := self.open_template(template)) is not None
        ]
        if not opened:
            return [[] for _ in probes]
        similarities = self.comparison.similarities(
            recognition.pack, np.stack([each.vector for each in probes]), np.stack([vector for _, vector in opened])
        )
        return [ranked([_candidate(t, s) for (t, _), s in zip(opened, row, strict=True)]) for row in similarities]


def ranked(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The most alike first."""
    return sorted(candidates, key=lambda each: each.similarity, reverse=True)


def _candidate(template: Template, similarity: np.float32) -> Candidate:
    return Candidate(template.persisted_face_id, template.person_id, template.vector.kid, float(similarity))


def of_one_recognition(*recognitions: Recognition | None) -> None:
    """Refused where templates would meet that never may; None is of a collection that holds no templates itself."""
    if len({each for each in recognitions if each is not None}) > 1:
        raise Refused("'recognitionModel' is incompatible.", "BadArgument")
