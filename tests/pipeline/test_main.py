"""The command line as a person meets it: help, exit codes, one line for a mistake, and what the commands do."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pipeline import __main__ as faceline
from pipeline.home import Home, Process, Running
from pipeline.settings import Settings, load
from tests.stopwatch import Stopwatch

OURS = (
    ("demo",),
    ("init",),
    ("up",),
    ("status",),
    ("down",),
    ("purge",),
    ("worker",),
    ("capture",),
    ("topics",),
    ("topics", "apply"),
    ("topics", "show"),
    ("check",),
    ("models",),
    ("models", "list"),
    ("models", "pull"),
    ("models", "verify"),
    ("keys",),
    ("keys", "status"),
    ("keys", "rotate"),
    ("keys", "destroy"),
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def run(home: Path, *arguments: str) -> int:
    return faceline.run(["--home", str(home), *arguments])


@pytest.mark.parametrize("command", OURS, ids=" ".join)
def test_every_command_helps_with_an_example(
    command: tuple[str, ...], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(home, *command, "--help") == 0
    text = capsys.readouterr().out
    assert "Usage: faceline" in text
    if command not in (("topics",), ("models",), ("keys",)):
        assert f"Example: faceline {' '.join(command)}" in text


def test_without_a_command_there_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert faceline.run([]) == 0
    assert "init" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("frobnicate",), "No such command 'frobnicate'; see: faceline --help"),
        (("topics",), "Missing command; see: faceline --help"),
        (("status", "--xml"), "No such option: --xml; see: faceline --help"),
        (
            ("worker", "guess"),
            "Invalid value: there is no stage 'guess'; there is: detect, identify, expire, control, erase, enrol; "
            "see: faceline --help",
        ),
        (("capture", "door"), "faceline.toml: no [[camera]] is called 'door'; there is: none"),
        (
            ("models", "verify", "guess"),
            "there is no model pack 'guess': choose one of dlib, retail, opencv, buffalo_l",
        ),
    ],
)
def test_a_mistake_is_one_line_and_code_2(
    arguments: tuple[str, ...], line: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(home, *arguments) == 2
    assert capsys.readouterr().err == f"{line}\n"


@pytest.mark.parametrize("command", ["up", "check", "topics show", "capture door", "models list"])
def test_mistaken_settings_are_told_by_every_command_that_needs_them(
    command: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home.mkdir()
    (home / "faceline.toml").write_text('[kafka]\nbootstrp = "x"\nstreams = "four"\n')
    assert run(home, *command.split()) == 2
    assert [line.partition(": ")[0] for line in capsys.readouterr().err.splitlines()] == ["faceline.toml"] * 2


def test_init_writes_settings_that_mean_the_defaults_and_never_overwrites(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(home, "init") == 0
    assert load(home) == Settings()
    assert (home / "faceline.toml").stat().st_mode & 0o777 == 0o600
    assert run(home, "init") == 2
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["init", "up"])
def test_a_full_home_is_one_line(command: str, tmp_path: Path) -> None:
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-Urm", "true"], check=False).returncode:
        pytest.skip("this system lets nobody mount a small disk of their own")
    # Another test may serve the API at its usual port meanwhile, and a taken one is told first.
    prepared = f"mkdir {tmp_path}/home && echo '[api]\nport = 0' > {tmp_path}/home/faceline.toml"
    first = prepared if command == "up" else "true"
    faceline = f"{sys.executable} -m pipeline --home {tmp_path}/home"
    small = f"mount -t tmpfs -o size=4k none {tmp_path} && {first} && {faceline}"
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", f"{small} {command}; code=$?; ls {tmp_path}/home; exit $code"],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert ("faceline.toml" in done.stdout) == (command == "up")
    told = [line for line in done.stderr.splitlines() if "ERROR" not in line]
    assert told == ["No space left on device: make room, or choose another home with --home"]


def test_the_home_may_come_from_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACELINE_HOME", str(home))
    assert faceline.run(["init"]) == 0
    assert (home / "faceline.toml").exists()


def test_where_nothing_runs_status_says_so_and_down_is_content(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(home, "status") == 1
    assert "nothing runs here; start it with: faceline up" in capsys.readouterr().out
    assert run(home, "down") == 0


def test_a_second_up_is_refused_and_told_the_pid(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = Home(home)
    with held.owned():
        held.record(Running(os.getpid(), psutil.Process().create_time(), "127.0.0.1:1", "http://127.0.0.1:2"))
        finished = subprocess.run(
            [sys.executable, "-m", "pipeline", "--home", str(home), "up"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert finished.returncode == 2
    assert re.fullmatch(rf"pid {os.getpid()} already runs the home .*; end it with: faceline down\n", finished.stderr)


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


def test_status_and_down_of_what_runs(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = Home(home)
    folder.prepare()
    with sleeper() as supervisor:
        started = psutil.Process(supervisor.pid).create_time()
        processes = {"detect": Process(supervisor.pid, restarts=3)}
        folder.record(Running(supervisor.pid, started, "127.0.0.1:1", "http://127.0.0.1:2", processes, ready=True))
        assert run(home, "status", "--json") == 0
        shown = json.loads(capsys.readouterr().out)
        assert shown["ready"] is True
        assert shown["processes"][0] | {"name": "detect", "restarts": 3, "lag": None} == shown["processes"][0]
        assert run(home, "status") == 0
        assert "detect" in capsys.readouterr().out
        assert run(home, "down") == 0
        assert supervisor.poll() is not None


def test_purge_asks_and_wipes_keys_and_home(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Home(home)
    assert run(home, "init") == 0
    folder.secret()
    (folder.kafka / "segment").write_bytes(b"data")

    monkeypatch.setattr("builtins.input", lambda *_: "n")
    assert run(home, "purge") == 1
    assert (folder.kafka / "segment").exists()

    with sleeper() as supervisor:
        started = psutil.Process(supervisor.pid).create_time()
        folder.record(Running(supervisor.pid, started, "127.0.0.1:1", "http://127.0.0.1:2"))
        assert run(home, "purge", "--yes") == 0
        assert supervisor.poll() is not None
    assert not home.exists()
    out = capsys.readouterr().out
    assert "keys destroyed" in out
    assert "wiped" in out
    assert run(home, "purge", "--yes") == 0


def test_models_are_pulled_from_a_folder_and_verified(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home.mkdir()
    (home / "faceline.toml").write_text(f'[models]\ncache = "{tmp_path / "cache"}"\n')
    assert run(home, "models", "verify", "dlib") == 1
    assert "missing; get it with: faceline models pull dlib" in capsys.readouterr().err
    assert run(home, "models", "pull", "buffalo_l") == 2
    assert "licence" in capsys.readouterr().err
    assert run(home, "models", "list") == 0
    assert "buffalo_l" in capsys.readouterr().out


def test_help_comes_quickly() -> None:
    with Stopwatch() as took:
        subprocess.run([sys.executable, "-m", "pipeline", "--help"], check=True, capture_output=True, timeout=60)
    # The engines take seconds to import; a command that needs none must not wait for them.
    assert took.seconds < 5


def test_ctrl_c_among_the_imports_ends_at_once_and_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline", "status"],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (-signal.SIGINT, "")


def test_ctrl_c_later_is_one_line(home: Path) -> None:
    Home(home).prepare()
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline", "--home", str(home), "purge"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(len("Destroy")) == "Destroy"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (1, "ended\n")
    assert home.exists()
