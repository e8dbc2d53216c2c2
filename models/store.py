"""Brings the files of a model pack to this machine, once, and only if they are the pinned ones."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import file_digest, sha256
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pooch  # type: ignore[import-untyped]
from filelock import FileLock, Timeout

from models import ModelError
from models.catalogue import Converted, Download, ModelFile, Pack, PackageFile
from models.conversion import convert

Progress = Callable[[str], None]
OK = "ok"
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
LOCK = ".lock"
STAGING = ".staging"  # in the same folder, so that a finished file can be renamed into place
POLITE_SECONDS = 1.0  # a wait longer than this is told


class ModelStore:
    """A folder that holds the runnable files of packs. Several processes may use it at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def ensure(
        self,
        pack: Pack,
        *,
        source: Path | None = None,
        accept_licence: bool = False,
        progress: Progress | None = None,
    ) -> dict[str, Path]:
        """Makes every file of the pack present and gives its place, by name.

        Missing files come from `source`, a folder with the finished files or with what they are made from, else from
        where the catalogue says: an installed package or the network. Every checksum is verified. Raises ModelError for
        a licence not accepted, a wrong checksum, a full disk, and anything that cannot be had.
        """
        if pack.licence_accept and not accept_licence:
            raise ModelError(f"pack {pack.name} has the licence {pack.licence!r}: fetch it with the licence accepted")
        if any(fault != OK for _, fault in self.verify(pack)):
            with self._exclusively(progress or _say_nothing) as staging:
                for file in pack.files:
                    if _fault(self.folder / file.name, file) != OK:
                        content = _obtain(file, source, staging, progress or _say_nothing)
                        _place(content, staging / file.name, self.folder / file.name)
        return {file.name: self.folder / file.name for file in pack.files}

    def verify(self, pack: Pack) -> list[tuple[str, str]]:
        """For every file of the pack: its name and "ok", or what is wrong with it."""
        return [(file.name, _fault(self.folder / file.name, file)) for file in pack.files]

    @contextmanager
    def _exclusively(self, say: Progress) -> Iterator[Path]:
        """A staging folder of one's own; what a killed process left in it is swept away."""
        staging = self.folder / STAGING
        with _disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / LOCK)
            try:
                lock.acquire(timeout=POLITE_SECONDS)
            except Timeout:
                say(f"waiting for another process that prepares models in {self.folder}")
                lock.acquire()
            try:
                shutil.rmtree(staging, ignore_errors=True)
                staging.mkdir()
                yield staging
            finally:
                shutil.rmtree(staging, ignore_errors=True)
                lock.release()


def _obtain(file: ModelFile, source: Path | None, staging: Path, say: Progress) -> bytes:
    """The content of a file, its checksum verified."""
    given = source / file.name if source is not None else None
    if given is not None and _fault(given, file) == OK:
        say(f"{file.name}: taken from {source}")
        return given.read_bytes()
    match file.source:
        case Converted(recipe, sources):
            parts = [_obtain(part, source, staging, say) for part in sources]
            say(f"{file.name}: converting")
            content = convert(recipe, parts)
            cure = "install the versions of numpy and onnx that deploy/constraints.txt pins"
        case PackageFile(package, path):
            content = _in_package(package, path)
            cure = f"install the pinned version of {package}"
        case Download(_) if given is not None:
            raise ModelError(f"{given}: {_fault(given, file)}; put the file with sha256 {file.sha256} there")
        case Download(url):
            say(f"{file.name}: downloading {file.size / 1e6:.1f} MB from {urlsplit(url).hostname}")
            content = _download(file, url, staging)
            cure = "fetch it again"
    if sha256(content).hexdigest() != file.sha256:
        raise ModelError(f"{file.name} does not have the checksum of the catalogue, {file.sha256}: {cure}")
    return content


def _in_package(package: str, path: str) -> bytes:
    """Read where it is installed: importing face_recognition_models fails with today's setuptools."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(f"the Python package {package} is not installed: pip install {package}")
    try:
        return (Path(spec.submodule_search_locations[0]) / path).read_bytes()
    except FileNotFoundError as error:
        raise ModelError(f"the installed package {package} has no {path}: install the pinned version") from error


def _download(file: ModelFile, url: str, staging: Path) -> bytes:
    pooch.get_logger().setLevel("WARNING")
    try:
        # read whole: of a streamed answer that is refused, pooch leaves the connection open
        whole = pooch.HTTPDownloader(stream=False)
        return Path(pooch.retrieve(url, f"sha256:{file.sha256}", file.name, staging, downloader=whole)).read_bytes()
    except ValueError as error:
        host = urlsplit(url).hostname
        raise ModelError(
            f"{host} delivered a {file.name} with a wrong checksum: give a folder with the right one"
        ) from error
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        raise ModelError(
            f"{file.name} cannot be downloaded from {urlsplit(url).hostname}: "
            f"fetch {url} elsewhere and give the folder it lies in"
        ) from error


def _place(content: bytes, staged: Path, final: Path) -> None:
    with staged.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    staged.replace(final)


def _fault(path: Path, file: ModelFile) -> str:
    try:
        with path.open("rb") as stream:
            digest = file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return OK if digest == file.sha256 else "wrong checksum"


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise ModelError(f"no space left for models in {folder}: free some or choose another folder") from error
        raise ModelError(f"the model folder {folder} cannot be written ({error}): choose another folder") from error


def _say_nothing(_: str) -> None:
    return None
