"""The demo as a command: mistakes are told before anything starts, and Ctrl-C leaves nothing behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pipeline import __main__ as faceline
from tests.stopwatch import Stopwatch


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert faceline.run(["demo", *arguments]) == 2
    return capsys.readouterr().err


def test_mistakes_are_told_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "--photos and --video together" in refused(capsys, "--photos", str(tmp_path))
    assert "no photos" in refused(capsys, "--photos", str(tmp_path), "--video", "rtsp://camera.local/")
    assert "is not there" in refused(capsys, "--photos", str(tmp_path), "--video", "absent.mp4")
    assert "--sheet" in refused(capsys, "--sheet", str(tmp_path / "absent" / "sheet.png"))
    (tmp_path / "something").touch()
    assert "is not empty" in refused(capsys, "--home", str(tmp_path))
    assert faceline.run(["--home", str(tmp_path), "demo"]) == 2
    assert "is not empty" in capsys.readouterr().err


@pytest.mark.broker
@pytest.mark.milvus
@pytest.mark.rtsp
@pytest.mark.parametrize("moment", ["starting everything", "start Kafka", "enrolling"])
def test_ctrl_c_ends_every_process_and_purges_the_home(moment: str, tmp_path: Path) -> None:
    command = [sys.executable, "-u", "-m", "pipeline", "demo", "--sheet", str(tmp_path / "sheet.png")]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as demo:
        assert demo.stdout is not None
        assert any(moment in line for line in demo.stdout)
        children = psutil.Process(demo.pid).children(recursive=True)
        demo.send_signal(signal.SIGINT)
        with Stopwatch() as took:
            output, errors = demo.communicate(timeout=60)
    assert demo.returncode == 130
    assert errors == ""
    assert "its keys are destroyed and its folder is wiped" in output
    assert took.seconds < 20
    assert psutil.wait_procs(children, timeout=10)[1] == []
    assert list(tmp_path.iterdir()) == []
