"""Faces of low quality are those that are not recognised: leaving them out spares false non-matches."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.bench import Bench, Result, quality


@pytest.mark.timeout(900)
async def test_low_quality_foretells_false_non_matches(
    bench: Bench, shared: Path, show: Callable[[Result], None]
) -> None:
    result = await quality.run(bench, "retail", shared / "media" / "people", degradations=quality.SHORT)
    show(result)
    plain, degraded = result.of(degraded=False), result.of(degraded=True)
    whole, spared = quality.non_matches(degraded), quality.non_matches(degraded, "medium")
    assert whole.wrong / whole.of > 0.1
    assert spared.of > 200
    assert spared.wrong / spared.of < whole.wrong / whole.of / 3
    assert quality.non_matches(plain).wrong == 0
    assert quality.matches([*plain, *degraded]).wrong <= 5
    assert result.levels[""]["low"] == 0
