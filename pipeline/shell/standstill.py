"""Notices offsets that are finished and never committed.

After a rebalance Faust can have lost the acknowledgement of a record. It then commits nothing behind that record any
more, and only a life that begins with the committed offset gets over it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class Standstill:
    """Compares what was finished with what the broker knows of, time after time."""

    _since: dict[int, tuple[int, float]] = field(default_factory=dict)

    def seconds(self, finished: Mapping[int, int], committed: Mapping[int, int], now: float) -> float:
        """For how long the committed offset of some partition has stood below the finished one; `now` in seconds.

        Both are the offset to go on from, by partition; a partition that was never committed stands at 0.
        """
        since = {}
        for partition, offset in finished.items():
            known = committed.get(partition, 0)
            if known < offset:
                before, began = self._since.get(partition, (known, now))
                since[partition] = (known, began if before == known else now)
        self._since = since
        return now - min((began for _, began in since.values()), default=now)

    def forget(self) -> None:
        """Begin anew: the broker was away, and nobody can have committed."""
        self._since = {}
