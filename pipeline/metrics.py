"""What a process measures of itself, under names that stand in one place, and where Prometheus reads it.

Labels are stages, topics, partitions, cameras and operations; never anything of a person.
"""

from collections.abc import Callable
from typing import Final

from aiohttp import web
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

LOOPBACK: Final = "127.0.0.1"
NAMESPACE: Final = "faceline"
LAG: Final = f"{NAMESPACE}_lag"
RECORDS: Final = f"{NAMESPACE}_records"
BATCH_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LATENCY_SECONDS: Final = (0.025, 0.05, 0.075, 0.1, 0.12, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 60.0)


class Metrics:
    """The instruments of one process, in a registry of their own."""

    def __init__(self, process: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._runner: web.AppRunner | None = None
        name = Gauge("process", "which process this is", ["process"], namespace=NAMESPACE, registry=self.registry)
        name.labels(process).set(1)
        self.records = self._counter(
            "records", "records that a stage has finished, by the topic it read", "stage", "topic"
        )
        self.written = self._counter("written", "records that a stage has written, by topic", "stage", "topic")
        self.dead_letters = self._counter(
            "dead_letters", "records that can never work, by the topic read", "stage", "topic"
        )
        self.identifications = self._counter(
            "identifications", "published identifications: identified or unknown", "decision"
        )
        self.frames = self._counter("frames", "frames of a camera: sampled, skipped or lost", "camera", "fate")
        self.connections = self._counter("connections", "capture sessions that a camera has begun", "camera")
        self.requests = self._counter("requests", "requests to the API, by operation", "operation", "status")
        self.request_seconds = self._histogram(
            "request_seconds", "from a request to its answer", BATCH_SECONDS, "operation"
        )
        self.lag = Gauge(
            "lag",
            "records of a partition that a stage has not finished",
            ["stage", "topic", "partition"],
            namespace=NAMESPACE,
            registry=self.registry,
        )
        self.batch_seconds = self._histogram(
            "batch_seconds", "time of one step with its writing", BATCH_SECONDS, "stage"
        )
        self.latency_seconds = self._histogram(
            "latency_seconds", "from a frame's capture to the commit of its identification", LATENCY_SECONDS, "camera"
        )

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(name, meaning, labels, namespace=NAMESPACE, registry=self.registry)

    def _histogram(self, name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(name, meaning, labels, namespace=NAMESPACE, registry=self.registry, buckets=buckets)

    async def close(self) -> None:
        """End what `serve` began; does nothing before it."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def open(self, application: web.Application, port: int) -> int:
        """Listen on loopback; OSError when the port is taken."""
        runner = web.AppRunner(application, access_log=None, handle_signals=False)
        await runner.setup()
        try:
            await web.TCPSite(runner, LOOPBACK, port).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        return int(runner.addresses[0][1])


async def serve(metrics: Metrics, health: Callable[[], str | None], *, port: int = 0) -> int:
    """Serve `/healthz` and `/metrics` on loopback until `metrics.close()`; returns the port, a free one for 0.

    `health` says what is wrong, or None: `/healthz` answers 200 "ok" or 503 with that text. OSError when the port is
    taken.
    """

    async def healthz(_: web.Request) -> web.Response:
        trouble = health()
        return web.Response(text="ok\n" if trouble is None else f"{trouble}\n", status=200 if trouble is None else 503)

    async def measured(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    application = web.Application()
    application.add_routes([web.get("/healthz", healthz), web.get("/metrics", measured)])
    return await metrics.open(application, port)
