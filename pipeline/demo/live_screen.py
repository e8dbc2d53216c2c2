"""The demo on a terminal: what has happened scrolls by, and below it a table follows the topic `identifications`."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from pipeline.demo.screen import Gone, Passage, clock

ROWS = 10
SHORT = 8  # characters of an id that are enough to tell it from the others
PER_SECOND = 8.0


@dataclass(slots=True)
class _Row:
    passage: Passage
    forgotten: bool = False


@dataclass(slots=True)
class _Status:
    """One line that moves: what is being waited for, and for how long yet."""

    text: str = ""
    until: datetime | None = None
    began: float = field(default_factory=time.monotonic)
    spinner: Spinner = field(default_factory=lambda: Spinner("dots", style="cyan"))

    def __rich__(self) -> RenderableType:
        if not self.text:
            return Text("")
        if self.until is None:
            number = f"{time.monotonic() - self.began:.0f} s"
        else:
            number = f"{max(0.0, (self.until - datetime.now(UTC)).total_seconds()):.0f} s left"
        self.spinner.update(text=Text.assemble((self.text, "cyan"), (f"  {number}", "dim")))
        return self.spinner


class LiveScreen:
    """A context manager; while it is open, the console is its own.

    A row is a track: a better shot replaces it in its place, a tombstone takes the name out of it, as in the topic.
    """

    def __init__(self, console: Console) -> None:
        self._rows: dict[str, _Row] = {}
        self._status = _Status()
        self._live = Live(console=console, get_renderable=self._picture, refresh_per_second=PER_SECOND)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status.text = ""
        self._live.stop()

    def step(self, name: str, seconds: float) -> None:
        self._print(Text.assemble(("  ✓ ", "green"), f"{name:<32}", (f"{seconds:6.1f} s", "dim")))

    def chapter(self, title: str) -> None:
        self._print(Text.assemble("\n", (title, "bold")))

    def say(self, text: str) -> None:
        self._print(Text(f"  {text}"))

    def waiting(self, text: str, until: datetime | None = None) -> None:
        self._status.text, self._status.until, self._status.began = text, until, time.monotonic()

    def passage(self, passage: Passage) -> None:
        self._rows[passage.track] = _Row(passage)

    def tombstone(self, gone: Gone) -> None:
        key = "/".join(f"{part[:SHORT]}…" for part in gone.key.split("/"))
        place = f"partition {gone.partition}  offset {gone.offset}"
        self._print(Text.assemble(("  ✝ tombstone  ", "red"), f"{gone.topic:<16}{key:<20}", (place, "dim")))

    def forgotten(self, track: str) -> None:
        if track in self._rows:
            self._rows[track].forgotten = True

    def archive(self) -> None:
        if self._rows:
            self._live.console.print("", self._table(self._rows.values()), sep="\n")
        self._rows.clear()

    def _print(self, text: Text) -> None:
        self._live.console.print(text, soft_wrap=True)

    def _picture(self) -> RenderableType:
        return Group(*self._parts())

    def _parts(self) -> Iterator[RenderableType]:
        if self._rows:
            yield Text("")
            yield self._table(list(self._rows.values())[-ROWS:])
        yield self._status

    @staticmethod
    def _table(rows: Iterable[_Row]) -> Table:
        table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
        for heading in ("  time", "camera", "track", "who"):
            table.add_column(heading, no_wrap=True)
        for heading in ("similarity", "latency"):
            table.add_column(heading, justify="right", no_wrap=True)
        for row in rows:
            table.add_row(*_cells(row))
        return table


def _cells(row: _Row) -> tuple[Text, ...]:
    told = row.passage
    style = "dim" if row.forgotten else ""
    if row.forgotten:
        who = Text("forgotten", "dim italic red")
    else:
        who = Text(told.label, "yellow" if told.person is None else "bold green")
    values = (f"  {clock(told.captured_at)}", told.camera, told.track[:SHORT])
    numbers = ("", "") if row.forgotten else (told.likeness, f"{told.latency_ms:.0f} ms")
    return (*(Text(each, style) for each in values), who, *(Text(each, style) for each in numbers))
