"""How a process of a deployment is refused before it starts anything: in one line, with exit code 2."""

import socket
import subprocess
from pathlib import Path

from filelock import FileLock

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
