"""The numbers of a capture session's frames, and what became of each: the capture side of the balance."""

from collections.abc import Callable
from typing import Literal

from pipeline.ranges import Ranges, add, subtract, union
from pipeline.records import Gap, Ledger

# Reasons of gaps, for people and for the metrics.
OVERSIZED = "oversized"
UNAVAILABLE = "broker unavailable"
DESTROYED = "key destroyed"
KILLED = "capture killed"
STOPPED = "capture stopped"
EXPIRED = "retention"

Fate = Literal["sampled", "skipped", "lost"]

# A ledger is written every second: under lasting overload its list of skipped ranges must not grow without end.
MAX_SKIPPED_RANGES = 1_000


class Account:
    """One capture session. Its frames are numbered 0, 1, 2 ... as they are sampled; every number has one fate.

    `published` is the highest number handed to Kafka so far, -1 for none. `lost` holds, by reason, the frames whose
    gap is not on Kafka yet. `count` is told every fate, with a number of frames.
    """

    def __init__(self, camera: str, session: str, count: Callable[[Fate, int], None]) -> None:
        self.camera = camera
        self.session = session
        self._count = count
        self.sampled = 0
        self.published = -1
        self.skipped: Ranges = ()
        self.lost: dict[str, Ranges] = {}

    @property
    def full(self) -> bool:
        """Whether the ledger has grown so long that the rest belongs into a new session."""
        return len(self.skipped) >= MAX_SKIPPED_RANGES

    def sample(self, number: int) -> None:
        """The frame `number` was taken; those before it that never arrived count as skipped."""
        if number < self.sampled:
            raise ValueError(f"frame {number} of session {self.session} was sampled before")
        missed = number - self.sampled
        if missed:
            self.skipped = union(self.skipped, ((self.sampled, number - 1),))
            self._count("skipped", missed)
        self.sampled = number + 1
        self._count("sampled", missed + 1)

    def skip(self, number: int) -> None:
        """Back-pressure left the frame out."""
        self.skipped = add(self.skipped, number)
        self._count("skipped", 1)

    def lose(self, number: int, reason: str) -> None:
        """The frame will not be published, for a reason that its gap shall give."""
        self.lost[reason] = add(self.lost.get(reason, ()), number)
        self._count("lost", 1)

    def gaps(self) -> list[Gap]:
        """The gaps that Kafka has not been told yet."""
        return [
            Gap(camera=self.camera, session=self.session, first=first, last=last, reason=reason)
            for reason, ranges in self.lost.items()
            for first, last in ranges
        ]

    def told(self, gap: Gap) -> None:
        """The gap is on Kafka."""
        self.lost[gap.reason] = subtract(self.lost[gap.reason], ((gap.first, gap.last),))

    def ledger(self, *, closed: bool = False) -> Ledger:
        """What the ledger is to say now."""
        return Ledger(
            camera=self.camera,
            session=self.session,
            stage="capture",
            sampled=self.sampled,
            skipped=self.skipped,
            closed=closed,
        )
