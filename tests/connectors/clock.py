"""The time of a key store, in the hands of a test."""

from datetime import UTC, datetime, timedelta

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Clock:
    """A wall clock and a monotonic one that a test moves by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.seconds)

    def timer(self) -> float:
        return self.seconds
