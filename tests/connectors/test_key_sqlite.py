"""Promises of the key store's file: no bytes of a destroyed key in it, nothing readable in it, and clear refusals."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors import ServiceRefused, ServiceUnavailable
from connectors.key_rows import KeyRows
from connectors.key_sqlite import SqliteKeys
from connectors.keystore import KeyStore
from connectors.root_key import RootKeyFiles
from connectors.root_keys import opened, rotate

TEMPLATE = bytes(range(256)) * 8


@pytest.fixture
def store(tmp_path: Path) -> Iterator[KeyStore]:
    store = KeyStore.create(tmp_path)
    yield store
    store.close()


def wrapped_key(folder: Path, kid: str) -> bytes:
    database = sqlite3.connect(folder / "keys.sqlite")
    try:
        return bytes(database.execute("SELECT wrapped FROM faceline_keys WHERE kid = ?", (kid,)).fetchone()[0])
    finally:
        database.close()


def everything(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


def test_no_bytes_of_a_destroyed_key_stay_in_the_files(store: KeyStore, tmp_path: Path) -> None:
    kids = [store.new("person") for _ in range(200)]
    wrapped = [wrapped_key(tmp_path, kid) for kid in kids]
    assert all(key in everything(tmp_path) for key in wrapped), "the search must find what is there"
    store.destroy(kids[::2])
    residue = everything(tmp_path)
    assert not any(key[:16] in residue or key[16:32] in residue for key in wrapped[::2])
    assert all(key in residue for key in wrapped[1::2])


def test_no_bytes_of_a_rotated_key_stay_in_the_files(store: KeyStore, tmp_path: Path) -> None:
    kids = [store.new("person") for _ in range(200)]
    wrapped = [wrapped_key(tmp_path, kid) for kid in kids]
    rows = KeyRows(SqliteKeys(tmp_path / "keys.sqlite"))
    root = rows.roots()[0].wrapped
    assert root in everything(tmp_path)
    rotate(rows, RootKeyFiles(tmp_path), 0.0)
    rows.close()
    residue = everything(tmp_path)
    assert root[:16] not in residue
    assert not any(key[:16] in residue or key[16:32] in residue for key in wrapped)


def test_no_key_in_the_clear_and_no_plaintext_is_ever_in_the_files(store: KeyStore, tmp_path: Path) -> None:
    kid = store.new("person")
    store.seal(kid, TEMPLATE, b"templates|anna")
    wrapped = wrapped_key(tmp_path, kid)
    rows = KeyRows(SqliteKeys(tmp_path / "keys.sqlite"))
    data_key = opened(RootKeyFiles(tmp_path), rows.roots()[0]).unwrap(kid, wrapped)
    rows.close()
    written = everything(tmp_path)
    assert wrapped in written
    assert data_key not in written
    assert TEMPLATE[:32] not in written
    assert b"anna" not in written


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    KeyStore.create(tmp_path / "keys").close()
    assert (tmp_path / "keys" / "root-1.key").stat().st_mode & 0o777 == 0o400
    assert (tmp_path / "keys" / "keys.sqlite").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    database = SqliteKeys(tmp_path / "keys.sqlite")
    store = KeyStore(KeyRows(database), RootKeyFiles(tmp_path))
    pages = database.ask("PRAGMA page_count")[0][0]
    database.ask(f"PRAGMA max_page_count = {pages}")

    def fill() -> None:
        for _ in range(200):
            store.new("person")

    with pytest.raises(ServiceUnavailable, match="is full: free some space"):
        fill()
    database.ask("PRAGMA max_page_count = 1000000")
    assert store.alive(store.new("person"))
    store.close()


def test_a_file_that_is_no_key_store_is_refused(tmp_path: Path) -> None:
    KeyStore.create(tmp_path).close()
    (tmp_path / "keys.sqlite").write_bytes(b"not a database, but long enough to be looked at" * 40)
    with pytest.raises(ServiceRefused, match=r"keys\.sqlite cannot be used"):
        KeyStore.create(tmp_path)
