"""What was left in any file of the home is found, in every form, also packed; what may still be there is pending."""

import errno
import gzip
import os
import sqlite3
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from pipeline.auditing.leftovers import Leftovers
from pipeline.auditing.report import Line, Verdict
from pipeline.erasing.bounds import of_milvus
from pipeline.erasing.encodings import Vector, forms
from pipeline.home import Home

KID = "0123456789abcdef" * 2
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
VECTOR: Vector = (np.random.default_rng(1).standard_normal(256) / 16).astype(np.float32)
PACKED: Mapping[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "zstd": lambda content: _by_arrow(content, "zstd"),
    "lz4": lambda content: _by_arrow(content, "lz4"),
}


def _by_arrow(content: bytes, kind: str) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, kind) as stream:
        stream.write(content)
    return bytes(sink.getvalue())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("kafka", "milvus", "keys", "logs", "state"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"some words\n" * 100)
    return tmp_path


def audit(home: Path, destroyed: float | None = None, rebuilt_every: float | None = None) -> dict[str, Line]:
    leftovers = Leftovers(
        home, home / "milvus", (home / "kafka",), home / "keys", of_milvus(rebuilt_every), {"vector 1": VECTOR}
    )
    when = {} if destroyed is None else {KID: NOW.timestamp() - destroyed}
    return {line.subject: line for line in leftovers.lines(leftovers.searched(when, NOW))}


def test_where_there_is_nothing_every_part_passes(home: Path) -> None:
    found = audit(home, destroyed=1.0)
    assert found.keys() == {"Kafka", "keys", "logs", "milvus", "state"}
    assert {line.verdict for line in found.values()} == {Verdict.PASS}


def test_what_a_process_leaves_among_its_temporary_files_is_found(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    (home.temp / "spooled").write_bytes(b"of a request " + KID.encode())
    found = audit(home.path, destroyed=1.0)
    assert found["temp"].verdict is Verdict.FAIL
    assert "spooled" in found["temp"].text


@pytest.mark.parametrize("packer", PACKED)
@pytest.mark.parametrize("form", sorted(forms(VECTOR)))
def test_a_template_in_any_form_is_found_in_a_log(home: Path, form: str, packer: str) -> None:
    text = forms(VECTOR)[form]
    (home / "logs" / "detect.log").write_bytes(b"a line\n" + PACKED[packer](text) + b"\nanother\n")
    found = audit(home)
    assert {part for part, line in found.items() if line.verdict is Verdict.FAIL} == {"logs"}
    assert "detect.log" in found["logs"].text
    assert f"vector 1 as {form}" in found["logs"].text
    assert str(float(VECTOR[0])) not in found["logs"].text


@pytest.mark.parametrize("part", ["kafka", "keys", "state", "milvus"])
def test_it_is_found_in_every_folder(home: Path, part: str) -> None:
    (home / part / "left").write_bytes(bytes(12345) + VECTOR.tobytes())
    found = audit(home)
    assert {name.lower() for name, line in found.items() if line.verdict is Verdict.FAIL} == {part}


def test_in_a_database_and_in_parquet_it_is_found_too(home: Path) -> None:
    database = sqlite3.connect(home / "state" / "a.sqlite")
    database.execute("CREATE TABLE t (v BLOB)")
    database.execute("INSERT INTO t VALUES (?)", (VECTOR.tobytes(),))
    database.commit()
    database.close()
    rows = pa.array(np.tile(VECTOR, 50))
    pq.write_table(pa.table({"v": pa.FixedSizeListArray.from_arrays(rows, 256)}), home / "milvus" / "d.parquet")
    found = audit(home)
    assert found["state"].verdict is Verdict.FAIL
    assert found["milvus"].verdict is Verdict.FAIL
    assert "its columns" in found["milvus"].text


def test_bytes_behind_a_hole_are_found(home: Path) -> None:
    with (home / "state" / "sparse").open("wb") as file:
        file.seek(100 << 20)
        file.write(VECTOR.tobytes())
        file.truncate(300 << 20)
    assert f"byte {100 << 20}" in audit(home)["state"].text


def test_the_id_of_a_destroyed_key_may_stay_in_milvus_until_its_bound_and_elsewhere_not_at_all(home: Path) -> None:
    (home / "milvus" / "rows").write_bytes(KID.encode())
    assert audit(home)["milvus"].verdict is Verdict.PASS
    assert audit(home, 100, rebuilt_every=3600)["milvus"].verdict is Verdict.PENDING
    assert audit(home, 3700, rebuilt_every=3600)["milvus"].verdict is Verdict.FAIL
    unpromised = audit(home, 1)["milvus"]
    assert unpromised.verdict is Verdict.FAIL
    assert unpromised.text.endswith(of_milvus(None).why)
    (home / "logs" / "control.log").write_bytes(b'{"kid": "' + KID.encode() + b'"}')
    assert audit(home, 1, rebuilt_every=3600)["logs"].verdict is Verdict.FAIL
    (home / "keys" / "keys.sqlite").write_bytes(KID.encode())
    assert audit(home, 1, rebuilt_every=3600)["keys"].verdict is Verdict.PASS


def test_half_a_parquet_file_is_told(home: Path) -> None:
    (home / "milvus" / "torn.parquet").write_bytes(b"PAR1" + bytes(100))
    line = audit(home)["milvus"]
    assert line.verdict is Verdict.CANNOT_TELL
    assert "torn.parquet" in line.text


def before_listing(monkeypatch: pytest.MonkeyPatch, folder: Path, happens: Callable[[], None]) -> None:
    """Have something happen just before a folder is listed."""
    listing = os.scandir

    def scandir(place: Path) -> object:
        if Path(place) == folder:
            happens()
        return listing(place)

    monkeypatch.setattr(os, "scandir", scandir)


def test_a_folder_that_may_not_be_listed_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "state" / "closed").mkdir()

    def refuse() -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(home / "state" / "closed"))

    before_listing(monkeypatch, home / "state" / "closed", refuse)
    found = audit(home)
    assert {part for part, line in found.items() if line.verdict is not Verdict.PASS} == {"state"}
    assert found["state"].verdict is Verdict.CANNOT_TELL
    assert "state/closed/*: Permission denied" in found["state"].text


def test_a_home_that_may_not_be_listed_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(home))

    before_listing(monkeypatch, home, refuse)
    assert audit(home)["the home itself"].verdict is Verdict.CANNOT_TELL


def test_a_folder_that_vanishes_is_gone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "state" / "passing").mkdir()
    before_listing(monkeypatch, home / "state" / "passing", (home / "state" / "passing").rmdir)
    assert {line.verdict for line in audit(home).values()} == {Verdict.PASS}
