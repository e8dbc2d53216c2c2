"""Measures real deployments: what is lost when processes die, and how fast they are beside bare code."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Bench:
    """Where a benchmark works, and whom it tells what it is doing.

    `folder` holds its homes and clips, `cache` the verified weights and jars, `weights` the files of packs that are
    not in any package; None fetches those from where the catalogue says.
    """

    folder: Path
    cache: Path
    weights: Path | None = None
    tell: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `met` is None where there is no goal."""

    benchmark: str
    what: str
    value: str
    goal: str = ""
    met: bool | None = None


class Result(Protocol):
    """What a benchmark found."""

    @property
    def sound(self) -> bool:
        """Whether everything that must hold at any speed did hold."""
        ...

    def rows(self) -> list[Row]:
        """The lines of the table."""
        ...


def under(benchmark: str, what: str, value: float, goal: float, *, unit: str = "", digits: int = 2) -> Row:
    """A line whose value shall be at most `goal`."""
    return Row(benchmark, what, f"{value:.{digits}f}{unit}", f"<= {goal:g}{unit}", value <= goal)


def over(benchmark: str, what: str, value: float, goal: float, *, unit: str = "", digits: int = 2) -> Row:
    """A line whose value shall be at least `goal`."""
    return Row(benchmark, what, f"{value:.{digits}f}{unit}", f">= {goal:g}{unit}", value >= goal)
