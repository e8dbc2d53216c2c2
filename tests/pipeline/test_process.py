"""How a process of a deployment ends: refused before it starts anything, or over what it meets at work."""

import asyncio
import socket
import subprocess
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError  # type: ignore[import-untyped]
from filelock import FileLock

from connectors import ServiceRefused, ServiceUnavailable
from pipeline import process
from pipeline.home import Home
from pipeline.machine.programs import faceline
from pipeline.settings import FILE


def run(home: Home, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(faceline(home, *arguments), check=False, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


def test_an_instance_runs_once(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    with FileLock(home.state / "detect-1.lock"):
        code, told = run(home, "worker", "detect", "--instance", "1")
    assert code == 2
    assert told == f"detect-1 runs already in the home {home.path}; give another --instance\n"


def test_a_taken_metrics_port_names_the_setting(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (home.path / FILE).write_text(f"[metrics]\nport = {port}\n")
        code, told = run(home, "worker", "detect")
    assert code == 2
    assert told == f"{FILE}: [metrics] port: {port} is taken, which detect needs; give another\n"


class EndedError(Exception):
    """The process has ended, with this exit status."""


@pytest.mark.parametrize(
    ("error", "code", "to_blame"),
    [
        (KafkaConnectionError(), 69, False),
        (ServiceUnavailable("the key store does not answer"), 69, False),
        (ServiceRefused("the key store keys.sqlite cannot be used: disk I/O error"), 2, False),
        (RuntimeError("a bug"), 70, True),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else None,
)
async def test_only_for_a_bug_the_records_in_hand_are_to_blame(
    error: Exception, code: int, to_blame: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        raise error

    def end(code: int) -> None:
        raise EndedError(code)

    monkeypatch.setattr(process, "_end", end)
    acquitted: list[bool] = []
    with pytest.raises(EndedError) as ended:
        await process._until_stopped(work(), asyncio.Event(), lambda: acquitted.append(True))
    assert ended.value.args == (code,)
    assert bool(acquitted) is not to_blame
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert "\n" not in line
    if isinstance(error, ServiceRefused):
        assert str(error) in line
