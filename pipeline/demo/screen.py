"""What the demo tells its audience; and how it does so where there is no terminal: plain lines, one per event."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from rich.console import Console


@dataclass(frozen=True, slots=True)
class Passage:
    """What `identifications` says of a track now; `person` and `name` are None for an unknown."""

    track: str
    revision: int
    camera: str
    face: str
    captured_at: datetime
    person: str | None
    name: str | None
    similarity: float | None
    latency_ms: float

    @property
    def label(self) -> str:
        """Who it is, for people to read."""
        return "unknown" if self.person is None else self.name or "(forgotten)"

    @property
    def likeness(self) -> str:
        """The similarity of the best candidate; nothing where there was none."""
        return "" if self.similarity is None else f"{self.similarity:.3f}"


@dataclass(frozen=True, slots=True)
class Gone:
    """A tombstone: where it stands, and since when."""

    topic: str
    key: str
    partition: int
    offset: int
    appended_at: datetime


class Screen(Protocol):
    """What the story needs of whoever shows it."""

    def step(self, name: str, seconds: float) -> None:
        """A step of the preparations is done."""
        ...

    def chapter(self, title: str) -> None: ...

    def say(self, text: str) -> None: ...

    def waiting(self, text: str, until: datetime | None = None) -> None:
        """What the audience waits for now, and when it will be, where that is known."""
        ...

    def passage(self, passage: Passage) -> None:
        """An identification has come, or a better one of the same track."""
        ...

    def tombstone(self, gone: Gone) -> None: ...

    def forgotten(self, track: str) -> None:
        """An identification has got its tombstone."""
        ...

    def archive(self) -> None:
        """What is shown of passages becomes a part of what scrolls by."""
        ...


def clock(moment: datetime) -> str:
    """Local time, with milliseconds."""
    return f"{moment.astimezone():%H:%M:%S.%f}"[:12]


class PlainScreen:
    """Lines on a pipe: nothing is moved, coloured or shortened."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def step(self, name: str, seconds: float) -> None:
        self.say(f"{name:<32} {seconds:6.1f} s")

    def chapter(self, title: str) -> None:
        self.say(f"\n{title}")

    def say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, markup=False)

    def waiting(self, text: str, until: datetime | None = None) -> None:
        self.say(f".. {text}" if until is None else f".. {text} until {clock(until)}")

    def passage(self, passage: Passage) -> None:
        self.say(
            f"{clock(passage.captured_at)}  {passage.camera}  {passage.track}  {passage.label}  "
            f"similarity {passage.likeness or '-'}  latency {passage.latency_ms:.0f} ms"
        )

    def tombstone(self, gone: Gone) -> None:
        self.say(f"tombstone  {gone.topic}  {gone.key}  partition {gone.partition}  offset {gone.offset}")

    def forgotten(self, track: str) -> None:
        """Its tombstone says it."""

    def archive(self) -> None:
        """It scrolls by already."""
