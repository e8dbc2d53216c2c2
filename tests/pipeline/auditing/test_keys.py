"""Destroyed keys: what a store shows that was restored from a copy, or changed by hand, is caught."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from connectors import root_keys
from connectors.key_rows import KeyRows
from connectors.key_sqlite import SqliteKeys
from connectors.keystore import KeyStore
from connectors.root_key import RootKeyFiles
from pipeline.auditing import keys
from pipeline.auditing.report import Line, Verdict


@pytest.fixture
def store(tmp_path: Path) -> Iterator[KeyStore]:
    with closing(KeyStore.create(tmp_path)) as opened:
        yield opened


def audit(folder: Path) -> list[Line]:
    with closing(KeyRows(SqliteKeys(folder / "keys.sqlite"))) as rows:
        return list(keys.lines(rows, RootKeyFiles(folder)))


def change(folder: Path, statement: str, *values: object) -> None:
    database = sqlite3.connect(folder / "keys.sqlite")
    database.execute(statement, values)
    database.commit()
    database.close()


def test_a_store_that_keeps_its_word(store: KeyStore, tmp_path: Path) -> None:
    store.new("person")
    store.destroy([store.new("person"), store.new("person")])
    data, root, worth = audit(tmp_path)
    assert data.verdict is Verdict.PASS
    assert data.text == "2 destroyed keys are overwritten, and none unwraps; 1 live"
    assert root.verdict is Verdict.PASS
    assert (worth.verdict, worth.text[:11]) == (Verdict.CANNOT_TELL, "best effort")


def test_a_destroyed_key_that_was_put_back_is_caught(store: KeyStore, tmp_path: Path) -> None:
    kid = store.new("person")
    with closing(KeyRows(SqliteKeys(tmp_path / "keys.sqlite"))) as rows:
        found = rows.wrapped(kid)
    assert found is not None
    store.destroy([kid])
    change(tmp_path, "UPDATE faceline_keys SET wrapped = ? WHERE kid = ?", found.wrapped, kid)
    line = audit(tmp_path)[0]
    assert line.verdict is Verdict.FAIL
    assert kid in line.text


def test_a_destroyed_root_key_that_is_still_there_is_caught(store: KeyStore, tmp_path: Path) -> None:
    saved = (tmp_path / "root-1.key").read_bytes()
    with closing(KeyRows(SqliteKeys(tmp_path / "keys.sqlite"))) as rows:
        root_keys.rotate(rows, RootKeyFiles(tmp_path), 1.0)
    assert audit(tmp_path)[1].text == "1 destroyed versions, none of which the provider can use"
    (tmp_path / "root-1.key").write_bytes(saved)
    line = audit(tmp_path)[1]
    assert line.verdict is Verdict.FAIL
    assert "destroyed versions [1] can still be used" in line.text
