"""What a stage's process loads before its first record: who was killed is missed until all of it is loaded again."""

import subprocess
import sys
from pathlib import Path

import pytest

from connectors import guardian
from pipeline.topology import STAGES

# Each takes longer to load than most of what a stage needs.
HEAVY = frozenset(
    {
        "confluent_kafka.schema_registry",
        "cv2",
        "fastapi",
        "faust.web.drivers.aiohttp",
        "faust",
        "matplotlib",
        "milvus_lite",
        "onnxruntime",
        "pandas",
        "pyarrow",
        "pymilvus",
        "pytest",
        "scipy",
        "skimage",
        "uvicorn",
    }
)
OUR_OWN = frozenset({"pipeline.__main__", "pipeline.bench", "pipeline.demo", "pipeline.machine"})
NEEDS = {
    "detect": {"cv2", "faust", "onnxruntime"},
    "identify": {"pymilvus"},
    "enrol": {"faust", "pymilvus"},
    "expire": set[str](),
    "control": set[str](),
    "erase": set[str](),
}
# As `pipeline.process` does it, up to the connections. The models of detect are files: what runs them is loaded here.
ASSEMBLED = """
import asyncio, sys
import pipeline.commands.processes
from pathlib import Path
from pipeline import process, wiring
from pipeline.home import Home
from pipeline.settings import load
from pipeline.topology import STAGES
from pipeline.views import LiveSet

folder, name, shell = sys.argv[1:]
home = Home(Path(folder))
home.prepare()
settings = load(home.path)
if name == "detect":
    import numpy as np
    import models.pack, models.store
    from pipeline.wiring import eye
    box = np.array([[10, 10, 50, 50], [200, 10, 50, 50]], np.float32)
    assert eye.tracker.associate(box, box[::-1]) == [(0, 1), (1, 0)]
else:
    wiring.stage(name, wiring.parts(settings, home), LiveSet())
__import__(f"pipeline.{shell}")
if shell == "worker":
    import faust
    faust.App
print(*sys.modules)
"""


def loaded(*command: str) -> set[str]:
    """The modules that a fresh interpreter says it has loaded."""
    done = subprocess.run([sys.executable, *command], check=True, capture_output=True, text=True, timeout=60)
    return set(done.stdout.split())


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_loads_what_it_needs_and_nothing_else_that_is_heavy(name: str, tmp_path: Path) -> None:
    (tmp_path / "faceline.toml").write_text(
        '[kafka]\nbootstrap = "127.0.0.1:1"\n[milvus]\nuri = "http://127.0.0.1:1"\n'
    )
    modules = loaded("-c", ASSEMBLED, str(tmp_path), name, STAGES[name].shell)
    assert modules & HEAVY == NEEDS[name]
    assert not modules & OUR_OWN


def test_a_guardian_loads_next_to_nothing() -> None:
    code = "import sys; exec(open(sys.argv[1]).read(), {'__name__': 'guardian'}); print(*sys.modules)"
    modules = loaded("-IS", "-c", code, str(guardian.__file__))
    assert "subprocess" in modules
    assert not modules & {"asyncio", "logging", "site", "typing"}
