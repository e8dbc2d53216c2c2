"""The demo's camera: a real server that no parent leaves behind, and a clear word when it cannot run."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from connectors import ServiceUnavailable, rtsp_server
from connectors.rtsp_server import RtspServer


@pytest.mark.rtsp
def test_the_server_ends_with_its_parent(clips: Path, tmp_path: Path) -> None:
    script = (
        "import asyncio, pathlib, sys; from connectors.rtsp_server import RtspServer\n"
        "async def main():\n"
        "    server = RtspServer(pathlib.Path(sys.argv[1]), log=pathlib.Path(sys.argv[2]))\n"
        "    await server.start(); print(server.port, flush=True); await asyncio.sleep(60)\n"
        "asyncio.run(main())"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(clips), str(tmp_path / "log")],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert parent.stdout is not None
    with parent.stdout:
        port = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.05)
    pytest.fail("the server outlived its parent")


@pytest.mark.rtsp
async def test_a_port_that_is_taken_is_named(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtsp_server, "_listens", lambda port: False)  # else the one that has the port answers
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServiceUnavailable, match=f"{port}: see .*log"):
            await RtspServer(clips, log=tmp_path / "log", port=port).start()


def test_a_missing_toolkit_is_named_with_its_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtsp_server, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "faceline\[demo\]"'):
        RtspServer(tmp_path, log=tmp_path / "log")
