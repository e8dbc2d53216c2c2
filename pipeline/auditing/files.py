"""Every file of a folder searched: as it stands, inside what is compressed in it, and in the columns of Parquet."""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from connectors import packed
from pipeline.erasing.search import CHUNK, Search


@dataclass(frozen=True, slots=True)
class Find:
    """What was found: the needle's name, the file, and where in it."""

    name: str
    path: Path
    where: str


@dataclass(frozen=True, slots=True)
class Looked:
    """One file that was searched through."""

    path: Path
    size: int
    finds: tuple[Find, ...]
    unread: str = ""


def looked(root: Path, search: Search, leave_out: tuple[Path, ...] = ()) -> Iterator[Looked]:
    """Every regular file below `root`, but those below a folder of `leave_out`; what vanishes meanwhile is gone.

    A folder that cannot be listed stands there as "*", unread.
    """
    closed: list[OSError] = []
    for path in _below(root, leave_out, closed.append):
        try:
            if stat.S_ISREG(path.lstat().st_mode):
                yield _look(path, search)
        except FileNotFoundError:
            continue
        except OSError as error:
            yield Looked(path, 0, (), error.strerror or str(error))
    for why in closed:
        if not isinstance(why, FileNotFoundError):
            yield Looked(Path(why.filename or root, "*"), 0, (), why.strerror or str(why))


def _below(root: Path, leave_out: tuple[Path, ...], on_error: Callable[[OSError], None]) -> Iterator[Path]:
    """All that is no folder below `root`. Unlike Path.rglob, it says which folders it could not list."""
    for place, folders, files in os.walk(root, onerror=on_error):
        folder = Path(place)
        folders[:] = sorted(name for name in folders if folder / name not in leave_out)
        yield from (folder / name for name in sorted(files))


def _look(path: Path, search: Search) -> Looked:
    finds = []
    with path.open("rb") as file:
        for begin, end in _extents(file):
            finds += [
                Find(hit.name, path, f"byte {begin + hit.begins}") for hit in search.pieces(_pieces(path, begin, end))
            ]
            for kind, at in packed.members(_pieces(path, begin, end)):
                hits = {hit.name for hit in search.pieces(packed.unpacked(file, kind, begin + at))}
                finds += [Find(name, path, f"{kind} at byte {begin + at}") for name in sorted(hits)]
        size = os.fstat(file.fileno()).st_size
    unread = ""
    if packed.is_parquet(path):
        try:
            hits = {hit.name for hit in search.pieces(packed.columns(path))}
            finds += [Find(name, path, "its columns") for name in sorted(hits)]
        except OSError as error:
            # Half of a file that is just being written; whole, it will be read the next time.
            unread = str(error)
    return Looked(path, size, tuple(finds), unread)


def _extents(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Where a file has bytes, from and to: Kafka's indexes are holes but for their beginning, ten megabytes each."""
    size = os.fstat(file.fileno()).st_size
    at = 0
    while at < size:
        try:
            begin = os.lseek(file.fileno(), at, os.SEEK_DATA)
        except OSError:  # ENXIO: a hole up to the end
            return
        at = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
        yield begin, at


def _pieces(path: Path, begin: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(begin)
        while begin < end and (piece := file.read(min(CHUNK, end - begin))):
            begin += len(piece)
            yield piece
