"""A generation is as old as the clock says that also tells how old it may become."""

from datetime import timedelta
from typing import Any, cast

from pipeline.wiring.galleries.generations import Generations, made
from tests.connectors.clock import NOON


class _Milvus:
    """The names that it has, and to which of them an alias points."""

    def __init__(self) -> None:
        self.aliases = dict[str, str]()

    def names(self) -> list[str]:
        return sorted(set(self.aliases.values()))

    def target(self, alias: str) -> str | None:
        return self.aliases.get(alias)

    def point(self, alias: str, name: str) -> None:
        self.aliases[alias] = name


def test_a_generation_was_made_when_it_was_named_and_is_due_once_it_is_old() -> None:
    """Years from now, where `[clock] offset` has moved the present."""
    milvus = _Milvus()
    generations, now = Generations(cast(Any, milvus)), NOON + timedelta(days=3650)
    name = generations.next("small_retail", now)
    milvus.point("small_retail", name)
    generations.worn(name)
    assert made(name) == now
    assert generations.due(now - timedelta(hours=6)) == []
    assert generations.due(now) == ["small_retail"]


def test_a_number_is_never_given_twice_even_when_the_clock_goes_back() -> None:
    milvus = _Milvus()
    generations = Generations(cast(Any, milvus))
    first = generations.next("small_retail", NOON)
    milvus.point("small_retail", first)
    second = generations.next("small_retail", NOON - timedelta(hours=1))
    assert made(second) == made(first) + timedelta(milliseconds=1)
