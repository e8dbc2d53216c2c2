"""Nothing but the pinned archives may run: verified wherever they come from, fetched where missing."""

import re
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from connectors import ServiceRefused
from connectors.broker_jars import class_path, fetch_jars, pinned_jars

pytestmark = pytest.mark.broker
SLF4J = "slf4j-api-1.7.36.jar"


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def repository(kafka_jars: Path, tmp_path: Path) -> Path:
    """A Maven repository with every archive, which a test may damage."""
    folder = tmp_path / "repository"
    shutil.copytree(kafka_jars, folder)
    return folder


@pytest.fixture
def mirror(repository: Path) -> Iterator[str]:
    """The address of a real HTTP server of that repository."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(repository))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def path_of(name: str, folder: Path) -> Path:
    return next(folder / jar.path for jar in pinned_jars() if jar.path.name == name)


def damage(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1] + b"?")


def test_the_lock_names_kafka_and_a_logger() -> None:
    names = [jar.path.name for jar in pinned_jars()]
    assert len(names) == len(set(names)) == 46
    assert {"kafka_2.13-4.3.1.jar", "slf4j-simple-1.7.36.jar"} <= set(names)


def test_fetches_everything_and_tells(mirror: str, tmp_path: Path) -> None:
    told: list[str] = []
    folder = fetch_jars(tmp_path / "cache", told.append, mirror=mirror)
    assert len(class_path(folder)) == len(told) == 46
    assert told[-1].startswith("46 of 46 jars: ")
    assert not list(folder.glob(".partial-*"))


def test_fetches_again_only_what_is_damaged(mirror: str, repository: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    shutil.copytree(repository, folder)
    damage(path_of(SLF4J, folder))
    told: list[str] = []
    fetch_jars(folder, told.append, mirror=mirror)
    assert told == [f"1 of 1 jars: {SLF4J}"]
    class_path(folder)


def test_a_wrong_jar_from_a_mirror_never_arrives(mirror: str, repository: Path, tmp_path: Path) -> None:
    damage(path_of(SLF4J, repository))
    with pytest.raises(ServiceRefused, match=rf"{SLF4J} came with a wrong checksum") as refusal:
        fetch_jars(tmp_path / "cache", mirror=mirror)
    assert "\n" not in str(refusal.value)
    assert not path_of(SLF4J, tmp_path / "cache").exists()


def test_a_mirror_without_a_jar_is_named(mirror: str, repository: Path, tmp_path: Path) -> None:
    path_of(SLF4J, repository).unlink()
    with pytest.raises(ServiceRefused, match=rf"{SLF4J} is in none of \['mirror'\]"):
        fetch_jars(tmp_path / "cache", mirror=mirror)


def test_no_network(tmp_path: Path) -> None:
    with pytest.raises(ServiceRefused, match=r"could not be fetched .*check the network, or give a folder of jars"):
        fetch_jars(tmp_path / "cache", mirror="http://127.0.0.1:9")


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(ServiceRefused, match=re.escape(f"cannot be kept in {tmp_path / 'cache'}: File exists")):
        fetch_jars(tmp_path / "cache", mirror="http://127.0.0.1:9")


def test_a_flat_folder_serves_as_well(repository: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for jar in pinned_jars():
        shutil.move(repository / jar.path, flat / jar.path.name)
    assert fetch_jars(flat, mirror="http://127.0.0.1:9") == flat
    assert {file.parent for file in class_path(flat)} == {flat.resolve()}


def test_a_damaged_jar_never_runs(repository: Path) -> None:
    damage(path_of(SLF4J, repository))
    with pytest.raises(ServiceRefused, match=rf"{SLF4J} has a wrong checksum .*delete it and fetch it again"):
        class_path(repository)


def test_a_missing_jar_is_named(repository: Path) -> None:
    path_of(SLF4J, repository).unlink()
    with pytest.raises(ServiceRefused, match=rf"{SLF4J} is not in "):
        class_path(repository)
