"""What is packed is unpacked wherever it begins, what only looks packed is passed over, and nothing swells for ever."""

import gzip
import io
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import packed

CONTENT = np.random.default_rng(3).bytes(1000) * 3
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "zlib at level 1": lambda content: zlib.compress(content, 1),
    "zlib at level 9": lambda content: zlib.compress(content, 9),
    "zstd": lambda content: _by_arrow(content, "zstd"),
    "lz4": lambda content: _by_arrow(content, "lz4"),
}


def _by_arrow(content: bytes, kind: str) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, kind) as stream:
        stream.write(content)
    return bytes(sink.getvalue())


def contents(haystack: bytes) -> list[bytes]:
    file = io.BytesIO(haystack)
    pieces = (haystack[start : start + packed.PIECE] for start in range(0, len(haystack), packed.PIECE))
    return [b"".join(packed.unpacked(file, kind, at)) for kind, at in packed.members(pieces)]


@given(st.sampled_from(sorted(PACKERS)), st.binary(max_size=300), st.binary(max_size=50))
def test_a_member_is_found_at_any_place(packer: str, before: bytes, behind: bytes) -> None:
    assert CONTENT in contents(before + PACKERS[packer](CONTENT) + behind)


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("place", [packed.PIECE - 3, packed.PIECE - 1, packed.PIECE])
def test_a_member_is_found_across_two_pieces(packer: str, place: int) -> None:
    assert contents(bytes(place) + PACKERS[packer](CONTENT)).count(CONTENT) == 1


def test_what_only_looks_packed_gives_nothing_of_worth() -> None:
    assert CONTENT not in contents(np.random.default_rng(4).bytes(1 << 20))


def test_a_member_that_swells_is_left_at_a_gigabyte_and_costs_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "MOST", 20 << 20)
    bomb = io.BytesIO(zlib.compress(bytes(200 << 20)))
    tracemalloc.start()
    given_out = sum(len(piece) for piece in packed.unpacked(bomb, "zlib", 0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 20 << 20 <= given_out < 22 << 20
    assert peak < 8 << 20


def test_the_columns_of_parquet(tmp_path: Path) -> None:
    vectors = np.random.default_rng(5).standard_normal((3000, 128)).astype(np.float32)
    table = pa.table(
        {
            "id": [f"{number:032x}" for number in range(3000)],
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 128),
        }
    )
    file = tmp_path / "data.parquet"
    pq.write_table(table, file)
    assert packed.is_parquet(file)
    held = b"".join(packed.columns(file))
    assert all(vectors[row].tobytes() in held for row in (0, 1023, 1024, 2999))
    assert f"{2999:032x}".encode() in held
    torn = tmp_path / "torn.parquet"
    torn.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(OSError, match="no whole Parquet file"):
        list(packed.columns(torn))
