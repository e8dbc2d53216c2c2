"""Looks into what is packed: members of gzip, zlib, zstd and LZ4 anywhere in a file, and the columns of Parquet.

What bytes say in a Parquet file (Milvus Lite's) cannot be seen from outside: numbers stand in a dictionary there, and
pages are compressed. pyarrow reads them, which comes with Milvus Lite.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

# RFC 1952, RFC 8878, the LZ4 frame format, and RFC 1950 with the four levels that zlib writes.
MAGICS = (
    ("gzip", b"\x1f\x8b\x08"),
    ("zstd", b"\x28\xb5\x2f\xfd"),
    ("lz4", b"\x04\x22\x4d\x18"),
    *(("zlib", magic) for magic in (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")),
)
LONGEST_MAGIC = 4
PIECE = 1 << 20
MOST = 1 << 30  # so many bytes of one member are looked at: a member may be made to swell without end
ROWS_AT_ONCE = 1024


def members(pieces: Iterable[bytes]) -> Iterator[tuple[str, int]]:
    """Kind and place of all that looks like the beginning of a compressed member, in pieces that follow each other."""
    start, kept = 0, b""
    for piece in chain(pieces, [b""]):
        chunk = kept + piece
        # What begins in the last bytes may go on in the next piece.
        ripe = max(0, len(chunk) - LONGEST_MAGIC + 1) if piece else len(chunk)
        for kind, magic in MAGICS:
            at = chunk.find(magic)
            while 0 <= at < ripe:
                yield kind, start + at
                at = chunk.find(magic, at + 1)
        start, kept = start + ripe, chunk[ripe:]


def unpacked(file: BinaryIO, kind: str, at: int) -> Iterator[bytes]:
    """What a member holds, in pieces, up to where it ends or proves to be none."""
    file.seek(at)
    given = 0
    for piece in _deflated(file) if kind in ("gzip", "zlib") else _by_arrow(file, kind, at):
        yield piece
        given += len(piece)
        if given >= MOST:
            return


def _deflated(file: BinaryIO) -> Iterator[bytes]:
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)  # either header
    packed = file.read(512)  # most of what looks like one ends here
    try:
        while packed and not inflater.eof:
            yield inflater.decompress(packed, PIECE)
            packed = inflater.unconsumed_tail or file.read(PIECE)
    except zlib.error:
        return


def _by_arrow(file: BinaryIO, kind: str, at: int) -> Iterator[bytes]:
    # What follows a member is an error to Arrow, and takes with it what it has read before: so the last of it is asked
    # for in ever smaller portions.
    given = 0
    for portion in (PIECE, PIECE >> 8, PIECE >> 16, 1):
        file.seek(at)
        try:
            stream = pa.CompressedInputStream(pa.PythonFile(_Kept(file), mode="r"), kind)
            _pass_over(stream, given)
            while piece := stream.read(portion):
                given += len(piece)
                yield piece
        except (OSError, pa.ArrowException):
            continue
        else:
            return


def _pass_over(stream: pa.CompressedInputStream, given: int) -> None:
    while given:
        given -= len(stream.read(min(given, PIECE)))


class _Kept:
    """A file that Arrow reads and must not close, from where it stands."""

    closed = False

    def __init__(self, file: BinaryIO) -> None:
        self.read = file.read

    def close(self) -> None:
        """Leave it open."""


def is_parquet(path: Path) -> bool:
    """Whether the file begins as Parquet does."""
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def columns(path: Path) -> Iterator[bytes]:
    """What a Parquet file holds: of each column, some rows after the other, the values end to end.

    OSError, or pyarrow's own ArrowException turned into one, where it cannot be read.
    """
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(ROWS_AT_ONCE):
                for column in batch.columns:
                    yield from (bytes(buffer) for buffer in column.buffers() if buffer is not None)
    except pa.ArrowException as error:
        raise OSError(f"{path} is no whole Parquet file") from error
