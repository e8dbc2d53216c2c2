"""What the short forms of the benchmarks share: where they work, and where their tables go."""

from collections.abc import Callable
from pathlib import Path

import platformdirs
import pytest
from rich.console import Console

from pipeline.bench import Bench, Result
from pipeline.bench.table import table


@pytest.fixture
def bench(tmp_path: Path, shared: Path) -> Bench:
    """A benchmark's place, with the weights that lie beside this checkout."""
    return Bench(tmp_path, Path(platformdirs.user_cache_dir("faceline")), shared / "models")


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Callable[[Result], None]:
    """Print a result's table into the run's output, whether or not the test passes."""

    def printed(result: Result) -> None:
        with capsys.disabled():
            Console(width=120).print("\n", table(result.rows()))

    return printed
