"""What one seed came to, and what some seed must have met."""

from collections.abc import Mapping
from dataclasses import dataclass

# What must have happened somewhere among a few hundred seeds: else they have tried less than they seem to.
RARE = (
    "the gallery proposed somebody who is gone",
    "a person's tombstone during a takeover",
    "a watermark went while its owner waited for a thread",
    "a tombstone was cleaned away before a restart",
    "a zombie woke after an acknowledgement",
    "two owners of a partition",
    "fenced with a transaction open",
    "late produce refused by its epoch",
    "a session timed out",
    "a transaction timed out",
    "ended by ProducerFenced",
    "ended by RuntimeError",
    "ended by StaleViewError",
    "the broker was killed",
    "a log's start was lost with the broker",
    "control died over one deletion until others are condemned",
    "erase died over one deletion until others are condemned",
    "retention overtook a reader",
    "a reader found itself before the log's start",
)


@dataclass(frozen=True, slots=True)
class Report:
    """What one seed came to. `digest` is of every byte that was written, in order."""

    seed: int
    broken: tuple[str, ...]
    digest: str
    states: Mapping[str, int]
    steps: int
    faces: int
    named: int
    deletions: int
    acknowledged: int
    ghosts: int
    restarts: int
    seconds: float
    patience: float
