"""What a shell measures of its stage."""

import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from pipeline.desk import Portion
from pipeline.metrics import Metrics
from pipeline.outbox import Outbox


@dataclass(frozen=True, slots=True)
class Meter:
    """The instruments of `metrics`, as one stage uses them."""

    metrics: Metrics
    stage: str
    reads: str

    async def timed(self, work: AsyncIterator[Portion], count: int) -> AsyncIterator[Portion]:
        """Pass `work` on, and record how long it took together with the writing of what it caused."""
        began = time.perf_counter()
        async for portion in work:
            yield portion
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
