"""What the audience reads: whole lines on a pipe, a table that follows its topic on a terminal."""

from datetime import timedelta
from io import StringIO

import pytest
from rich.console import Console

from pipeline.demo.live_screen import ROWS, LiveScreen
from pipeline.demo.screen import Gone, Passage, PlainScreen, Screen, clock
from tests.pipeline.demo.records import NOW

KEY = "4d5a05aa-e8cb-442f-8c97-1b53400a3b6a"


def passage(track: str, person: str | None = "p1", name: str | None = "Ada [b]", similarity: float = 0.912) -> Passage:
    return Passage(track, 0, "demo", "face", NOW, person, name, similarity, 84.6)


def tell(screen: Screen) -> None:
    screen.chapter("1  Ada is enrolled")
    screen.step("start Kafka", 4.25)
    screen.say("a fact [with brackets]")
    screen.waiting("somebody", NOW + timedelta(seconds=9))
    screen.passage(passage(KEY))
    screen.passage(passage("other", None, None, 0.25))
    screen.tombstone(Gone("templates", f"{KEY}/{KEY}", 2, 31, NOW))


def test_plain_lines_shorten_nothing() -> None:
    written = StringIO()
    tell(PlainScreen(Console(file=written, width=40)))
    assert written.getvalue().splitlines() == [
        "",
        "1  Ada is enrolled",
        f"{'start Kafka':<32}    4.2 s",
        "a fact [with brackets]",
        f".. somebody until {clock(NOW + timedelta(seconds=9))}",
        f"{clock(NOW)}  demo  {KEY}  Ada [b]  similarity 0.912  latency 85 ms",
        f"{clock(NOW)}  demo  other  unknown  similarity 0.250  latency 85 ms",
        f"tombstone  templates  {KEY}/{KEY}  partition 2  offset 31",
    ]


@pytest.fixture
def written() -> StringIO:
    return StringIO()


@pytest.fixture
def screen(written: StringIO) -> LiveScreen:
    return LiveScreen(Console(file=written, force_terminal=True, width=100, height=40, color_system=None))


def test_a_terminal_shows_facts_and_below_them_the_table(screen: LiveScreen, written: StringIO) -> None:
    with screen:
        tell(screen)
    shown = written.getvalue()
    assert "✓ start Kafka" in shown
    assert "a fact [with brackets]" in shown
    assert "✝ tombstone  templates       4d5a05aa…/4d5a05aa… partition 2  offset 31" in shown
    assert "somebody  0 s left" in shown
    last = shown.rpartition("similarity")[2]
    assert [line.split() for line in last.splitlines()[1:3]] == [
        [clock(NOW), "demo", KEY[:8], "Ada", "[b]", "0.912", "85", "ms"],
        [clock(NOW), "demo", "other", "unknown", "0.250", "85", "ms"],
    ]


def test_a_better_shot_replaces_its_row_and_a_tombstone_takes_the_name(screen: LiveScreen, written: StringIO) -> None:
    with screen:
        screen.passage(passage("one", similarity=0.5))
        screen.passage(passage("two", name="Grace"))
        screen.passage(passage("one", similarity=0.75))
        screen.forgotten("two")
        screen.forgotten("never seen")
        written.truncate(0)
    last = written.getvalue().rpartition("similarity")[2]
    assert "0.750" in last
    assert "0.500" not in last
    assert "forgotten" in last
    assert "Grace" not in last


def test_the_table_shows_the_newest_rows_and_scrolls_by_with_all(screen: LiveScreen, written: StringIO) -> None:
    with screen:
        for number in range(ROWS + 3):
            screen.passage(passage(f"track{number:03}"))
        screen.say("below")
        assert "track002" not in written.getvalue()
        screen.archive()
        assert "track000" in written.getvalue()
        written.truncate(0)
    assert "track" not in written.getvalue()
