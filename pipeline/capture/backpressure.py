"""When a camera must hold back, because the stage behind it does not keep up.

The lag is that of the camera's whole partition, which other cameras may share, and the group commits its progress only
about once a second. So limits are times, turned into frames by the traffic that the partition really has.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import Literal

Policy = Literal["latest", "all"]

LATEST_SECONDS = 2.0  # a live picture older than this is not worth waiting for
LATEST_LEAST = 4  # frames
# What waits must be processed well before `frames` forgets it (60 s).
ALL_SECONDS = 10.0
ALL_LEAST = 16  # frames, with which a group of unknown speed begins


@dataclass(frozen=True, slots=True)
class Backlog:
    """A partition of `frames`: the offset of the next record, and of the next one the group will process."""

    end: int
    done: int

    @property
    def lag(self) -> int:
        """Records that wait."""
        return max(0, self.end - self.done)


class Pressure:
    """A camera's view of the backlog; times are seconds of any monotonic clock.

    `latest` skips while more waits than came in 2 s (at least 2 s of this camera, and 4 frames). `all` waits while
    more waits than was processed in the last 10 s (at least 16 frames): a start as slow as the group may be, doubling.
    """

    def __init__(self, policy: Policy, fps: float) -> None:
        self.policy = policy
        self._fps = fps
        self._seen: deque[tuple[float, Backlog]] = deque()
        self._acknowledged = 0

    def observe(self, backlog: Backlog, at: float) -> None:
        """A reading of the partition, not older than the last one."""
        if self._seen and backlog.done < self._seen[-1][1].done:
            self._seen.clear()  # the group was set back, or the topic made anew: past speed says nothing
        self._seen.append((at, backlog))
        while at - self._seen[0][0] > ALL_SECONDS:
            self._seen.popleft()
        self._acknowledged = 0

    def acknowledged(self) -> None:
        """Kafka has one more frame of this camera, since the last reading."""
        self._acknowledged += 1

    @property
    def lag(self) -> int:
        """Frames that wait, as far as is known."""
        return (self._seen[-1][1].lag if self._seen else 0) + self._acknowledged

    @property
    def limit(self) -> int:
        """Frames that may wait."""
        if self.policy == "all":
            return max(ALL_LEAST, self._seen[-1][1].done - self._seen[0][1].done if self._seen else 0)
        return max(LATEST_LEAST, math.ceil(LATEST_SECONDS * max(self._fps, self._arrivals())))

    @property
    def full(self) -> bool:
        """Whether the next frame has to be skipped, or to wait."""
        return self.lag >= self.limit if self.policy == "all" else self.lag > self.limit

    def _arrivals(self) -> float:
        if len(self._seen) < 2:
            return 0.0
        (began, first), (at, last) = self._seen[0], self._seen[-1]
        return (last.end - first.end) / (at - began) if at > began else 0.0
