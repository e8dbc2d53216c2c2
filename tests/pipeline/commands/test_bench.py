"""What `faceline bench` shows before anything is measured."""

from pathlib import Path

import pytest

from pipeline.__main__ import run

BENCHMARKS = [
    "kills",
    "rebalance",
    "detect",
    "pipeline",
    "capture",
    "latency",
    "memory",
    "galleries",
    "passages",
    "quality",
    "api",
    "identification",
    "replica",
    "simulate",
    "soak",
]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", name, "--help"]) == 0
    assert f"Example: faceline bench {name}" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["kills", "rebalance"])
def test_a_stage_that_does_not_exist_is_the_callers_mistake(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--home", str(tmp_path), "bench", name, "--stage", "detcet"]) == 2
    assert "'detcet'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["passages", "quality"])
def test_a_folder_without_people_is_the_callers_mistake(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--home", str(tmp_path), "bench", name, "--media", str(tmp_path)]) == 2
    assert "one folder per person" in capsys.readouterr().err
