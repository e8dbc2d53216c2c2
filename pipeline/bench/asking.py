"""Asks as a patient client does, while whoever would answer is being killed."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from pipeline.operations import Unanswered

TRIES = 5

Answer = TypeVar("Answer")


async def answered(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """Ask again what nobody answered, five times in all: the same request is carried out once."""
    for _ in range(TRIES - 1):
        try:
            return await ask()
        except Unanswered:
            continue
    return await ask()
