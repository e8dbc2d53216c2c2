"""Breadth-first search through every state that a protocol can reach: the first mistake found is the shortest."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

World = TypeVar("World", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many states there are (until the mistake, where there is one), and the shortest way to a mistake."""

    states: int
    counterexample: tuple[str, ...] | None

    def __str__(self) -> str:
        if self.counterexample is None:
            return f"SAFE, {self.states} states"
        return f"GHOST after {len(self.counterexample)} steps: " + " -> ".join(self.counterexample)


def search(
    start: World, moves: Callable[[World], Iterable[tuple[str, World]]], is_wrong: Callable[[World], bool]
) -> Verdict:
    """Try every move in every state; `moves` yields what may happen next, in words, and the state that it makes."""
    came_from: dict[World, tuple[World, str] | None] = {start: None}
    waiting = deque([start])
    while waiting:
        world = waiting.popleft()
        for label, after in moves(world):
            if after in came_from:
                continue
            came_from[after] = (world, label)
            if is_wrong(after):
                return Verdict(len(came_from), _way_to(after, came_from))
            waiting.append(after)
    return Verdict(len(came_from), None)


def _way_to(world: World, came_from: dict[World, tuple[World, str] | None]) -> tuple[str, ...]:
    steps: list[str] = []
    while (before := came_from[world]) is not None:
        world, label = before
        steps.append(label)
    return tuple(reversed(steps))
