"""How often a key may ask: a bucket of tokens for each, filled at a steady rate."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Rates:
    """`rate` requests a second for each key, and `burst` at once; `timer` is a monotonic clock in seconds."""

    rate: float
    burst: float
    timer: Callable[[], float]
    _buckets: dict[int, tuple[float, float]] = field(default_factory=dict)

    def wait(self, key: int) -> float:
        """Take a token of this key: 0.0, or, where there is none, the seconds until there will be."""
        now = self.timer()
        tokens, since = self._buckets.get(key, (self.burst, now))
        tokens = min(self.burst, tokens + (now - since) * self.rate)
        taken = tokens >= 1
        self._buckets[key] = (tokens - taken, now)
        return 0.0 if taken else (1 - tokens) / self.rate
