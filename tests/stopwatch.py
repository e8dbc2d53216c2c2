"""How long something took, less the time for which the machine gave this process no turn at all."""

import threading
import time
from types import TracebackType
from typing import Self

TICK = 0.05


class Stopwatch:
    """A context manager: `seconds` since it was entered, until it is left.

    A thread asks for a turn every 50 ms; what it gets later than that was nobody's doing but the machine's, which had
    other work. A limit on `seconds` stays as tight as it was promised.
    """

    def __init__(self) -> None:
        self._began = self._ended = 0.0
        self._stalled = 0.0
        self._over = threading.Event()
        self._ticking = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._ticking.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = time.monotonic()
        self._over.set()
        self._ticking.join()

    @property
    def seconds(self) -> float:
        return (self._ended or time.monotonic()) - self._began - self._stalled

    def _tick(self) -> None:
        due = time.monotonic() + TICK
        while not self._over.wait(max(0.0, due - time.monotonic())):
            now = time.monotonic()
            self._stalled += max(0.0, now - due)
            due = now + TICK
