"""What the README tells a person to type is typed here, in a home of its own, and has to work."""

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from connectors.footage import make_clip, portraits, story

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", README, re.M | re.S)
FOR_REAL = next(block for block in BLOCKS if "faceline init" in block)
CAMERA = '\n[[camera]]\nname = "door"\nfile = "clip.mp4"\nloop = true\n'
PATIENCE = 120.0


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A working folder with the photo that the README speaks of, and a home whose camera plays a clip."""
    faces = portraits()
    home = tmp_path / "home"
    home.mkdir()
    cv2.imwrite(str(tmp_path / "grace.jpg"), faces["Grace Hopper"])
    make_clip(home / "clip.mp4", story(faces))
    yield tmp_path
    run(tmp_path, "faceline purge --yes")


def environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "FACELINE_HOME": str(folder / "home"),
    }


def run(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        shlex.split(line, comments=True),
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def first_line(folder: Path, line: str) -> str:
    """What a command that never ends by itself says first; then Ctrl-C ends it."""
    with subprocess.Popen(
        shlex.split(line, comments=True), cwd=folder, env=environment(folder), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
    return said


def test_the_two_commands_are_files_of_the_project() -> None:
    named = re.findall(r"^sh (deploy/\S+)$", "\n".join(BLOCKS), re.M)
    assert named == ["deploy/demo.sh", "deploy/test.sh"]
    assert all((ROOT / name).is_file() for name in named)


def test_every_line_of_a_session_works(folder: Path) -> None:
    for line in FOR_REAL.splitlines():
        if "watch" in line:
            assert "decision" in first_line(folder, line)
            continue
        done = run(folder, line)
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        if "init" in line:
            with (folder / "home" / "faceline.toml").open("a") as settings:
                settings.write(CAMERA)
    assert not any((folder / "home").glob("keys/*"))


def test_the_settings_it_shows_are_accepted() -> None:
    import tomllib

    from pipeline.settings import parse

    shown = "\n".join(re.findall(r"^```toml\n(.*?)^```$", README, re.M | re.S))
    settings = parse(tomllib.loads(shown), ROOT)
    assert settings.cameras[0].name == "door"
    assert settings.deployment().scale.streams == 32
