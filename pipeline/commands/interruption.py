"""How a command that runs for long hears that it shall end."""

import asyncio
import signal
from collections.abc import Callable


def _silent() -> None:
    """Nobody wants to know."""


def cancelled_once_by_signals(heard: Callable[[], None] = _silent) -> None:
    """The first SIGINT or SIGTERM calls `heard` and cancels this task; more of them do not disturb the ending."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    asked: list[bool] = []

    def end() -> None:
        if task is not None and not asked:
            asked.append(True)
            heard()
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
