"""The store brings exactly the pinned files, whatever the disk, the network and other processes do."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import msgspec
import pytest
from filelock import FileLock

from models import ModelError
from models.catalogue import Converted, Download, ModelFile, Pack, PackageFile, load_catalogue
from models.store import ModelStore

WHOLE_PACK = """
import sys
from pathlib import Path
from models.catalogue import load_catalogue
from models.store import ModelStore
pack = load_catalogue().pack("dlib")
store = ModelStore(Path(sys.argv[1]))
store.ensure(pack)
assert all(fault == "ok" for _, fault in store.verify(pack))
"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        return None


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the loopback address it is served at."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def online(retail_pack: Pack, served: tuple[Path, str]) -> Pack:
    """The retail pack, its downloads moved to the loopback server."""

    def moved(file: ModelFile) -> ModelFile:
        match file.source:
            case Download(url):
                return msgspec.structs.replace(file, source=Download(f"{served[1]}/{url.rpartition('/')[2]}"))
            case Converted(recipe, sources):
                return msgspec.structs.replace(file, source=Converted(recipe, tuple(map(moved, sources))))
            case PackageFile():
                return file

    return msgspec.structs.replace(retail_pack, files=tuple(map(moved, retail_pack.files)))


def originals(shared: Path) -> list[Path]:
    names = ("yunet_n_dynamic.onnx", "face-reidentification-retail-0095.xml", "face-reidentification-retail-0095.bin")
    return [shared / "models" / name for name in names]


def test_a_pack_is_downloaded_converted_and_kept(
    online: Pack, served: tuple[Path, str], shared: Path, tmp_path: Path
) -> None:
    for original in originals(shared):
        (served[0] / original.name).write_bytes(original.read_bytes())
    store, told = ModelStore(tmp_path / "cache"), list[str]()
    assert {fault for _, fault in store.verify(online)} == {"missing"}
    files = store.ensure(online, progress=told.append)
    assert sorted(files) == sorted(path.name for path in store.folder.iterdir() if not path.name.startswith("."))
    assert {fault for _, fault in store.verify(online)} == {"ok"}
    assert [line for line in told if "127.0.0.1" in line]
    told.clear()
    assert store.ensure(online, progress=told.append) == files
    assert told == []


def test_a_download_with_a_wrong_checksum_is_refused(online: Pack, served: tuple[Path, str], tmp_path: Path) -> None:
    (served[0] / "yunet_n_dynamic.onnx").write_bytes(b"something else")
    with pytest.raises(ModelError, match=r"127\.0\.0\.1 delivered a yunet_n_dynamic\.onnx with a wrong checksum"):
        ModelStore(tmp_path / "cache").ensure(online)
    assert [path.name for path in (tmp_path / "cache").glob("*.onnx")] == []


def test_a_download_that_is_not_there_names_the_way_out(online: Pack, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot be downloaded from 127\.0\.0\.1: fetch http") as caught:
        ModelStore(tmp_path / "cache").ensure(online)
    assert "\n" not in str(caught.value)


def test_a_folder_serves_where_the_network_does_not(retail_pack: Pack, shared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    store = ModelStore(tmp_path / "cache")
    with pytest.raises(ModelError, match=r"yunet_n_dynamic\.onnx: missing; put the file with sha256 104ee26c"):
        store.ensure(retail_pack, source=folder)
    for original in originals(shared):
        (folder / original.name).write_bytes(original.read_bytes())
    (folder / "yunet_n_dynamic.onnx").write_bytes(b"something else")
    with pytest.raises(ModelError, match=r"yunet_n_dynamic\.onnx: wrong checksum"):
        store.ensure(retail_pack, source=folder)
    store.ensure(retail_pack, source=shared / "models")
    elsewhere = ModelStore(tmp_path / "copy")
    elsewhere.ensure(retail_pack, source=store.folder)
    assert {fault for _, fault in elsewhere.verify(retail_pack)} == {"ok"}


def test_a_licence_must_be_accepted(tmp_path: Path) -> None:
    pack = load_catalogue().pack("buffalo_l")
    with pytest.raises(ModelError, match="non-commercial research only"):
        ModelStore(tmp_path).ensure(pack)
    with pytest.raises(ModelError, match="put the file with sha256"):
        ModelStore(tmp_path).ensure(pack, source=tmp_path, accept_licence=True)


def test_what_was_damaged_is_made_anew(dlib_pack: Pack, tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    victim = store.ensure(dlib_pack)["mmod_human_face_detector.onnx"]
    victim.write_bytes(victim.read_bytes()[:-1])
    assert dict(store.verify(dlib_pack))[victim.name] == "wrong checksum"
    store.ensure(dlib_pack)
    assert dict(store.verify(dlib_pack))[victim.name] == "ok"


def one_file(source: PackageFile | Converted) -> Pack:
    """A stand-in pack of one file: the store never looks at anything else."""
    pack = load_catalogue().pack("dlib")
    file = msgspec.structs.replace(pack.files[0], source=source)
    return msgspec.structs.replace(pack, files=(file, *pack.files[1:]))


def test_a_package_that_is_not_installed_is_named(tmp_path: Path) -> None:
    pack = one_file(PackageFile("no_such_face_models", "detector.dat"))
    with pytest.raises(ModelError, match="pip install no_such_face_models"):
        ModelStore(tmp_path).ensure(pack)


def test_a_package_with_other_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not have the checksum of the catalogue"):
        ModelStore(tmp_path).ensure(one_file(PackageFile("models", "pack.py")))
    with pytest.raises(ModelError, match=r"package models has no nothing\.dat"):
        ModelStore(tmp_path).ensure(one_file(PackageFile("models", "nothing.dat")))


def full_device(folder: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True, capture_output=True)


def test_a_full_disk_is_said_and_leaves_nothing_half_done(dlib_pack: Pack, tmp_path: Path) -> None:
    try:
        full_device(tmp_path)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no file system may be mounted here")
    try:
        with pytest.raises(ModelError, match="no space left for models") as caught:
            ModelStore(tmp_path).ensure(dlib_pack)
        assert "\n" not in str(caught.value)
        assert set(dict(ModelStore(tmp_path).verify(dlib_pack)).values()) == {"ok", "missing"}
        assert not (tmp_path / ".staging").exists()
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.parametrize(
    ("number", "said"), [(errno.ENOSPC, "no space left for models"), (errno.EROFS, "cannot be written")]
)
def test_a_disk_that_refuses_is_said(
    number: int, said: str, dlib_pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(ModelError, match=said):
        ModelStore(tmp_path).ensure(dlib_pack)


def test_two_processes_convert_at_once(tmp_path: Path) -> None:
    (tmp_path / ".staging").mkdir()
    (tmp_path / ".staging" / "left-by-a-killed-process").write_bytes(b"half a model")
    command = [sys.executable, "-c", WHOLE_PACK, str(tmp_path)]
    root = str(Path(__file__).parents[2])
    both = [subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE) for _ in range(2)]
    assert [(process.communicate()[1], process.returncode) for process in both] == [(b"", 0)] * 2
    assert not (tmp_path / ".staging").exists()


def test_waiting_for_another_process_is_told(dlib_pack: Pack, tmp_path: Path) -> None:
    lock = FileLock(tmp_path / ".lock", thread_local=False)
    lock.acquire()
    told = list[str]()

    def tell(line: str) -> None:
        told.append(line)
        lock.release()

    once: Callable[[str], None] = lambda line: tell(line) if not told else told.append(line)  # noqa: E731
    ModelStore(tmp_path).ensure(dlib_pack, progress=once)
    assert "waiting for another process" in told[0]


def test_pinned_conversions_are_the_bytes_made_here(dlib: object, store: ModelStore, dlib_pack: Pack) -> None:
    for file in dlib_pack.files:
        content = (store.folder / file.name).read_bytes()
        assert (sha256(content).hexdigest(), len(content)) == (file.sha256, file.size)
