"""What a shell measures of its stage."""

import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime

from pipeline.metrics import Metrics
from pipeline.shell.desk import Step
from pipeline.shell.outbox import Outbox

STUCK_S = 30.0


@dataclass(slots=True)
class Meter:
    """The instruments of `metrics`, as one stage uses them."""

    metrics: Metrics
    stage: str
    reads: str
    _began: set[float] = field(default_factory=set)

    def trouble(self) -> str | None:
        """What is wrong with the stage, for its health: a batch in work for more than 30 s."""
        longest = time.perf_counter() - min(self._began, default=time.perf_counter())
        return f"a batch has been in work for {longest:.0f} s" if longest > STUCK_S else None

    def lags(self, partition: int, records: int) -> None:
        """Record how many records of a partition are still to be read."""
        self.metrics.lag.labels(self.stage, self.reads, str(partition)).set(max(records, 0))

    async def timed(self, work: AsyncIterator[Step], count: int) -> AsyncIterator[Step]:
        """Pass `work` on, and record how long it took together with the writing of what it caused."""
        began = time.perf_counter()
        self._began.add(began)
        try:
            async for step in work:
                yield step
        finally:
            self._began.discard(began)
        self.metrics.batch_seconds.labels(self.stage).observe(time.perf_counter() - began)
        self.metrics.records.labels(self.stage, self.reads).inc(count)

    def wrote(self, box: Outbox, now: datetime) -> None:
        """Record what the broker has acknowledged by `now`."""
        for topic, count in Counter(each.topic for each in box.records).items():
            self.metrics.written.labels(self.stage, topic).inc(count)
        self.metrics.dead_letters.labels(self.stage, self.reads).inc(box.dead_letters)
        for told in box.told:
            self.metrics.identifications.labels(told.decision).inc()
            self.metrics.latency_seconds.labels(told.camera).observe((now - told.captured_at).total_seconds())
