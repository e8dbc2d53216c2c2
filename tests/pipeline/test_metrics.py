"""Metrics and health as an HTTP client sees them."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.metrics import LAG, Metrics, serve


@pytest.fixture
async def metrics() -> AsyncIterator[Metrics]:
    metrics = Metrics("detect")
    yield metrics
    await metrics.close()


async def get(port: int, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/{path}") as answer:
        return answer.status, await answer.text()


async def test_what_was_measured_is_served(metrics: Metrics) -> None:
    port = await serve(metrics, lambda: None)
    metrics.records.labels("detect", "frames").inc(3)
    metrics.lag.labels("detect", "frames", "0").set(7)
    metrics.latency_seconds.labels("door").observe(0.08)
    status, text = await get(port, "metrics")
    values = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert status == 200
    assert values["faceline_process", "detect"] == 1
    assert values["faceline_records_total", "detect", "frames"] == 3
    assert values[LAG, "0", "detect", "frames"] == 7
    assert values["faceline_latency_seconds_count", "door"] == 1
    assert ("process_resident_memory_bytes",) in values


async def test_health_says_what_is_wrong(metrics: Metrics) -> None:
    trouble: list[str] = []
    port = await serve(metrics, lambda: trouble[0] if trouble else None)
    assert await get(port, "healthz") == (200, "ok\n")
    trouble.append("Kafka does not answer")
    assert await get(port, "healthz") == (503, "Kafka does not answer\n")


async def test_a_taken_port_is_an_error(metrics: Metrics) -> None:
    port = await serve(metrics, lambda: None)
    with pytest.raises(OSError, match="address already in use"):
        await serve(Metrics("enrol"), lambda: None, port=port)


async def test_no_label_is_a_persons(metrics: Metrics) -> None:
    labels = {label for family in metrics.registry.collect() for sample in family.samples for label in sample.labels}
    assert labels <= {"process", "implementation", "major", "minor", "patchlevel", "version", "generation"}
