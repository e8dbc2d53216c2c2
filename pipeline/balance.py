"""Every sampled frame is accounted for, from topics alone: sampled = processed + skipped + gaps + dead letters."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from aiokafka import AIOKafkaConsumer  # type: ignore[import-untyped]

from pipeline.changes import Put
from pipeline.codec import Received
from pipeline.ranges import Ranges, count, normal, subtract, union
from pipeline.records import DeadLetter, Gap, Ledger
from pipeline.topology import DEAD_LETTERS, GAPS, LEDGER, Deployment
from pipeline.views import Follower


@dataclass(frozen=True, slots=True)
class Balance:
    """Numbers of frames of one camera. A frame counts once, as the first of these that applies to it."""

    sampled: int = 0
    processed: int = 0
    dead_letters: int = 0
    skipped: int = 0
    gaps: int = 0
    unaccounted: int = 0

    @property
    def holds(self) -> bool:
        """Whether nothing is missing. While frames flow, the newest ones are on their way."""
        return self.unaccounted == 0

    def __add__(self, other: "Balance") -> "Balance":
        return Balance(
            self.sampled + other.sampled,
            self.processed + other.processed,
            self.dead_letters + other.dead_letters,
            self.skipped + other.skipped,
            self.gaps + other.gaps,
            self.unaccounted + other.unaccounted,
        )


@dataclass(slots=True)
class Fates:
    """What is known of one session: how many frames it sampled, and which numbers had which fate."""

    sampled: int = 0
    closed: bool = False
    processed: Ranges = ()
    dead_letters: Ranges = ()
    skipped: Ranges = ()
    gaps: Ranges = ()

    @property
    def highest(self) -> int:
        """The highest number that anything tells of, -1 for none."""
        told = (self.processed, self.dead_letters, self.skipped, self.gaps)
        return max([self.sampled - 1, *(ranges[-1][1] for ranges in told if ranges)])

    def unaccounted(self) -> Ranges:
        """Sampled frames that nothing tells of."""
        return subtract(_first(self.sampled), union(self.processed, self.dead_letters, self.skipped, self.gaps))

    def balance(self) -> Balance:
        """Count each sampled frame once."""
        rest = _first(self.sampled)
        counts = []
        for ranges in (self.processed, self.dead_letters, self.skipped, self.gaps):
            left = subtract(rest, ranges)
            counts.append(count(rest) - count(left))
            rest = left
        processed, dead_letters, skipped, gaps = counts
        return Balance(self.sampled, processed, dead_letters, skipped, gaps, count(rest))


@dataclass(slots=True)
class Books:
    """Everything that `ledger`, `gaps` and `dead-letters` say, by camera and session."""

    sessions: dict[tuple[str, str], Fates] = field(default_factory=lambda: defaultdict(Fates))

    def ledger(self, ledger: Ledger) -> None:
        """Ledgers are cumulative, so the newest of a session and stage comes last."""
        fates = self.sessions[ledger.camera, ledger.session]
        if ledger.stage == "capture":
            fates.sampled, fates.skipped, fates.closed = ledger.sampled, normal(ledger.skipped), ledger.closed
        else:
            fates.processed = union(fates.processed, ledger.processed)

    def gap(self, gap: Gap) -> None:
        fates = self.sessions[gap.camera, gap.session]
        fates.gaps = union(fates.gaps, ((gap.first, gap.last),))

    def dead_letter(self, letter: DeadLetter) -> None:
        """Letters that tell of no frame are not the balance's business."""
        if letter.frame is not None:
            fates = self.sessions[letter.frame.camera, letter.frame.session]
            fates.dead_letters = union(fates.dead_letters, ((letter.frame.sequence, letter.frame.sequence),))


def balance(ledgers: Iterable[Ledger], gaps: Iterable[Gap], dead_letters: Iterable[DeadLetter]) -> dict[str, Balance]:
    """The balance of every camera; ledgers in the order of their topic."""
    books = Books()
    for ledger in ledgers:
        books.ledger(ledger)
    for gap in gaps:
        books.gap(gap)
    for letter in dead_letters:
        books.dead_letter(letter)
    return balances(books)


def balances(books: Books) -> dict[str, Balance]:
    """The balance of every camera in `books`, by name."""
    cameras: dict[str, Balance] = {}
    for (camera, _), fates in sorted(books.sessions.items()):
        cameras[camera] = cameras.get(camera, Balance()) + fates.balance()
    return cameras


def _first(sampled: int) -> Ranges:
    return ((0, sampled - 1),) if sampled else ()


async def read_books(
    connect: Callable[[], AIOKafkaConsumer],
    deployment: Deployment,
    clock: Callable[[], datetime],
    *,
    camera: str | None = None,
) -> Books:
    """Read the books from Kafka, as they stand now; of one camera, only the partition it writes to.

    `connect` makes consumers without a group, not started. Records that cannot be read are passed over with a warning.
    """
    books = Books()

    def enter(received: Received) -> None:
        match received.change:
            case Put(value=Ledger() as ledger):
                books.ledger(ledger)
            case Put(value=Gap() as gap):
                books.gap(gap)
            case Put(value=DeadLetter() as letter):
                books.dead_letter(letter)
            case _:  # nobody writes tombstones here; one would mean nothing
                pass

    own = None if camera is None else (deployment.scale.of_camera(camera),)
    for topics, partitions in (((LEDGER, GAPS), own), ((DEAD_LETTERS,), None)):
        follower = Follower(connect(), deployment, topics, enter, clock=clock, partitions=partitions)
        try:
            await follower.start()
        finally:
            await follower.stop()
    return books
