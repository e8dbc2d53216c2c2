"""Thirteen people, enrolled from one photo each, are named in a clip of their other photos, and nobody wrongly."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.bench import Bench, Result, passages

pytestmark = [pytest.mark.broker, pytest.mark.milvus]


@pytest.mark.timeout(900)
async def test_retail_names_four_of_five_passages_and_nobody_wrongly(
    bench: Bench, shared: Path, show: Callable[[Result], None]
) -> None:
    result = await passages.run(bench, "retail", shared / "media" / "people", seconds=1.0)
    show(result)
    assert result.persons == 13
    assert result.named >= passages.GOAL
    assert result.count("wrong") == 0
