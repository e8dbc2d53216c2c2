"""The home: who may look into it, its secret, and who is said to run in it."""

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from pipeline.home import Home, HomeError, Process, Running, default_home


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def me(**processes: Process) -> Running:
    return Running(os.getpid(), psutil.Process().create_time(), "127.0.0.1:9092", "http://127.0.0.1:19530", processes)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.prepare()
    return home


def test_only_the_owner_looks_into_it(home: Home) -> None:
    (home.path / "kafka").chmod(0o755)
    home.prepare()
    assert {
        mode(path) for path in (home.path, home.kafka, home.milvus, home.keys, home.logs, home.state, home.temp)
    } == {0o700}


def test_a_path_that_is_taken_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(HomeError, match=r"home .*home cannot be used: .*; choose another with --home or FACELINE_HOME"):
        Home(tmp_path / "home").prepare()


def test_the_secret_is_drawn_once_by_whoever_is_first(home: Home) -> None:
    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(lambda _: Home(home.path).secret(), range(16)))
    assert len(secrets) == 1
    assert len(secrets.pop()) == 32
    assert [(file.name, mode(file)) for file in home.keys.iterdir()] == [("identifiers", 0o400)]


def test_a_damaged_secret_is_refused(home: Home) -> None:
    (home.keys / "identifiers").write_bytes(b"short")
    with pytest.raises(HomeError, match="5 bytes instead of 32"):
        home.secret()


def test_who_runs_is_believed_while_that_very_process_lives(home: Home) -> None:
    assert home.running() is None
    home.record(me(detect=Process(1234)))
    assert home.running() == me(detect=Process(1234))
    assert mode(home.path / "running.json") == 0o600

    running = me()
    home.record(Running(running.pid, running.started - 60.0, running.bootstrap, running.milvus_uri))
    assert home.running() is None

    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    home.record(Running(ended.pid, running.started, running.bootstrap, running.milvus_uri))
    assert home.running() is None


def test_a_note_cut_short_says_nothing(home: Home) -> None:
    (home.path / "running.json").write_text('{"pid": 1')
    assert home.running() is None


def test_a_process_announces_its_port(home: Home) -> None:
    home.announce("detect", 9100)
    home.record(me(detect=Process(os.getpid()), enrol=Process(os.getpid())))
    running = home.running()
    assert running is not None
    assert running.processes == {"detect": Process(os.getpid(), 9100), "enrol": Process(os.getpid())}


def test_the_port_of_a_former_process_is_not_believed(home: Home) -> None:
    home.announce("detect", 9100)
    home.record(me(detect=Process(1)))
    running = home.running()
    assert running is not None
    assert running.processes["detect"].metrics_port == 0


def test_a_second_owner_is_refused_and_told_the_pid(home: Home) -> None:
    with home.owned():
        home.record(me())
        with (
            pytest.raises(HomeError, match=rf"^pid {os.getpid()} already runs the home .*: faceline down$"),
            Home(home.path).owned(),
        ):
            pass
    assert home.running() is None
    with home.owned():
        pass


def test_an_owner_begins_with_an_empty_temp_and_follows_no_link_out_of_it(home: Home) -> None:
    (home.temp / "left").write_text("by who was killed")
    (home.temp / "folder" / "deeper").mkdir(parents=True)
    (home.temp / "away").symlink_to(home.logs)
    (home.logs / "detect.jsonl").write_text("{}")
    with home.owned():
        assert list(home.temp.iterdir()) == []
        (home.temp / "mine").touch()
        with pytest.raises(HomeError), Home(home.path).owned():
            pass
        assert (home.temp / "mine").exists(), "whoever is refused removes nothing"
    assert (home.logs / "detect.jsonl").exists()


def test_wiping_leaves_what_is_not_ours(home: Home) -> None:
    home.secret()
    for ours in ("faceline.toml", "milvus.port"):
        (home.path / ours).write_text("")
    (home.path / "notes.txt").write_text("mine")
    assert home.wipe() == ["notes.txt"]
    (home.path / "notes.txt").unlink()
    assert home.wipe() == []
    assert not home.path.exists()


def test_the_default_home_can_be_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FACELINE_HOME", str(tmp_path))
    assert default_home() == tmp_path
    monkeypatch.delenv("FACELINE_HOME")
    assert default_home().name == "faceline"
