"""The ratios of speed are measured and shown; only that every frame is accounted for is asserted."""

from collections.abc import Callable

import pytest

from pipeline.bench import Bench, Result, capture, door, galleries, identification, latency, memory, replica, throughput

pytestmark = [pytest.mark.broker, pytest.mark.timeout(900)]


@pytest.mark.milvus
@pytest.mark.parametrize(("pack", "fps"), [("retail", 5), ("dlib", 2)])
async def test_the_pipeline_beside_bare_models(
    bench: Bench, show: Callable[[Result], None], pack: str, fps: int
) -> None:
    result = await throughput.run(bench, pack, fps=fps)
    show(result)
    assert result.frames == 24 * fps
    assert result.unaccounted == 0


async def test_capture_beside_bare_pyav(bench: Bench, show: Callable[[Result], None]) -> None:
    result = await capture.run(bench, times=1)
    show(result)
    # The last one may be of the next interval: a frame just before its time is taken rather than the one after it.
    assert 0 <= result.sampled - 24 * capture.FPS <= 1


@pytest.mark.milvus
@pytest.mark.rtsp
async def test_latency_of_a_real_camera(bench: Bench, show: Callable[[Result], None]) -> None:
    result = await latency.run(bench, faces=15, templates=100)
    show(result)
    assert len(result.moments) >= 12


@pytest.mark.milvus
async def test_memory_of_every_process(bench: Bench, show: Callable[[Result], None]) -> None:
    result = await memory.run(bench, seconds=5.0, templates=100)
    show(result)
    assert {"kafka", "milvus", "detect", "identify", "capture-hall"} <= result.resident.keys()


@pytest.mark.milvus
async def test_the_galleries_beside_bare_arithmetic(bench: Bench, show: Callable[[Result], None]) -> None:
    result = await galleries.run(bench, templates=2_000)
    show(result)
    # HNSW on a server is not measured here; those that compare with every template must miss none.
    assert result.sound
    assert [each.mates for each in result.measured] == [1.0, 1.0]


@pytest.mark.milvus
async def test_the_door_beside_bare_models(bench: Bench, show: Callable[[Result], None]) -> None:
    result = await door.run(bench, detections=30, writes=60, clients=8, seconds=6.0)
    show(result)
    assert result.load is not None
    assert result.load.failed == 0


@pytest.mark.milvus
async def test_identification_beside_a_bare_search(bench: Bench, show: Callable[[Result], None]) -> None:
    result = await identification.run(bench, persons=(200,), times=30)
    show(result)
    assert [len(size.identified) for size in result.sizes] == [30]


async def test_the_start_of_a_replica(bench: Bench, show: Callable[[Result], None]) -> None:
    result = await replica.run(bench, persons=1_000, faces=1_000)
    show(result)
    assert min(result.seconds) > 0
