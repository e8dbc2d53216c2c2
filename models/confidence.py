"""Says on one scale, 0..1, how sure it is that two templates are of one person, whichever model made them.

A similarity means nothing without its model: 0.45 is a match to one and chance to another. The confidence is its
place between three marks of the model, with straight lines between them:

    similarity   mean of strangers, and below    threshold    1 (one and the same template)
    confidence   0                               0.5          1

So 0.5 says "one person" for every model, as in the Face service. It is a scale and no probability: how probable one
person is depends on how many strangers were compared, too, which no pair of templates knows.
"""

from dataclasses import dataclass
from math import inf

from models import ModelError
from models.catalogue import Pack

LIKELY = 0.5
"""The confidence at the threshold: at or above, two templates are called one person."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The marks of one model on its similarity: its threshold, and what strangers have on average.

    Raises ModelError unless strangers < threshold < 1.
    """

    threshold: float
    strangers: float

    def __post_init__(self) -> None:
        if not self.strangers < self.threshold < 1:
            raise ModelError(
                f"the threshold {self.threshold:g} is of no use: choose one between {self.strangers:g}, what two "
                "strangers have on average with this model, and 1, what only a photo and itself have"
            )

    def confidence(self, similarity: float) -> float:
        """0..1, never falling with the similarity; exactly 0.5 at the threshold, 0 for the average stranger."""
        if similarity <= self.strangers:
            return 0.0
        if similarity <= self.threshold:
            return LIKELY * ((similarity - self.strangers) / (self.threshold - self.strangers))
        return min(1.0, LIKELY + (1 - LIKELY) * ((similarity - self.threshold) / (1 - self.threshold)))

    def similarity(self, confidence: float) -> float:
        """The least similarity with this confidence: what a caller's confidence threshold, 0..1, asks of a model.

        Every similarity has confidence 0, so that for 0 it is minus infinity. Raises ValueError beyond 0..1.
        """
        if not 0 <= confidence <= 1:
            raise ValueError(f"a confidence of {confidence} is not in 0..1")
        if confidence == 0:
            return -inf
        # from the upper mark down: exact where it matters most, at the threshold and at 1
        if confidence <= LIKELY:
            return self.threshold - (self.threshold - self.strangers) * (1 - confidence / LIKELY)
        return max(self.threshold, 1 - (1 - self.threshold) * ((1 - confidence) / (1 - LIKELY)))


def calibration(pack: Pack, threshold: float | None = None) -> Calibration:
    """The pack's calibration, with an operator's own threshold if there is one. Raises ModelError as Calibration."""
    return Calibration(pack.threshold if threshold is None else threshold, pack.strangers)
