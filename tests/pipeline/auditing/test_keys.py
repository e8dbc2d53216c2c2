"""Destroyed keys: what a store shows that was restored from a copy, or changed by hand, is caught."""

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from connectors import root_keys
from connectors.key_rows import KeyRows
from connectors.key_sqlite import SqliteKeys
from connectors.keystore import KeyStore
from connectors.root_key import RootKeyFiles
from pipeline.auditing import keys
from pipeline.auditing.receipted import Receipted, kids_in_use, receipted
from pipeline.auditing.report import Line, Verdict
from pipeline.changes import Put
from pipeline.operations.erasures import Erased
from pipeline.receipts import destroyed_keys
from pipeline.topology import COLLECTIONS, PERSONS, TEMPLATES
from pipeline.views import LiveSet
from tests.pipeline.examples import NOON, collection, person, template


@pytest.fixture
def store(tmp_path: Path) -> Iterator[KeyStore]:
    with closing(KeyStore.create(tmp_path)) as opened:
        yield opened


def told(rows: KeyRows, *erased: Erased, in_use: Collection[str] = ()) -> Receipted:
    return receipted(erased, rows.destroyed(), rows.owned(), frozenset(in_use))


def audit(folder: Path, *erased: Erased, in_use: Collection[str] = ()) -> list[Line]:
    with closing(KeyRows(SqliteKeys(folder / "keys.sqlite"))) as rows:
        return list(keys.lines(rows, RootKeyFiles(folder), told(rows, *erased, in_use=in_use)))


def erasure(name: str, *kids: str) -> Erased:
    keys_of = destroyed_keys(kids)
    return Erased(name, "collection", f"subject of {name}", NOON, NOON, keys_of, signed=True)


def change(folder: Path, statement: str, *values: object) -> None:
    database = sqlite3.connect(folder / "keys.sqlite")
    database.execute(statement, values)
    database.commit()
    database.close()


def test_a_store_that_keeps_its_word(store: KeyStore, tmp_path: Path) -> None:
    store.new("person")
    store.destroy([store.new("person"), store.new("person")])
    data, receipts, root, worth = audit(tmp_path)
    assert (receipts.subject, receipts.verdict) == ("receipts", Verdict.PASS)
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
    assert audit(tmp_path)[2].text == "1 destroyed versions, none of which the provider can use"
    (tmp_path / "root-1.key").write_bytes(saved)
    line = audit(tmp_path)[2]
    assert line.verdict is Verdict.FAIL
    assert "destroyed versions [1] can still be used" in line.text


def test_a_store_that_was_restored_as_a_whole_is_caught_by_the_receipts(store: KeyStore, tmp_path: Path) -> None:
    gone, other = store.new("person"), store.new("person")
    yesterday = (tmp_path / "keys.sqlite").read_bytes()
    store.destroy([gone])
    e0 = erasure("e0", gone)
    assert audit(tmp_path, e0)[1].text == "no key lives that one of 1 erasures destroyed"
    (tmp_path / "keys.sqlite").write_bytes(yesterday)
    data, line, *_ = audit(tmp_path, e0)
    assert data.verdict is Verdict.PASS, "the store itself knows of nothing"
    assert line.verdict is Verdict.FAIL
    assert f"1 keys live that an erasure destroyed, such as {gone} of e0" in line.text
    with closing(KeyRows(SqliteKeys(tmp_path / "keys.sqlite"))) as rows:
        assert told(rows, e0).revived == {gone: e0}
        assert told(rows, e0).holding({gone}) == {"e0"}
        assert told(rows, erasure("e1", other[::-1])).revived == {}


def test_of_many_keys_a_receipt_has_one_fingerprint_and_they_are_known_by_their_moment(
    store: KeyStore, tmp_path: Path
) -> None:
    many, one = [f"{number:032x}" for number in range(301)], "f" * 32
    yesterday = (tmp_path / "keys.sqlite").read_bytes()
    store.destroy([*many, one])
    group, single = erasure("group", *many), erasure("single", one)
    assert len(group.keys) == 1
    with closing(KeyRows(SqliteKeys(tmp_path / "keys.sqlite"))) as rows:
        found = told(rows, group, single)
    assert found.unknown == []
    assert found.kids == {"group": set(many), "single": {one}}
    assert audit(tmp_path, group, single)[1].verdict is Verdict.PASS
    (tmp_path / "keys.sqlite").write_bytes(yesterday)
    line = audit(tmp_path, group)[1]
    assert line.verdict is Verdict.CANNOT_TELL
    assert "the keys of 1 erasures, such as group" in line.text


def test_of_many_keys_that_live_again_nothing_is_in_use(store: KeyStore, tmp_path: Path) -> None:
    many, living = [f"{number:032x}" for number in range(301)], store.new("person")
    store.destroy(many)
    change(tmp_path, "UPDATE faceline_keys SET destroyed = NULL WHERE kid <> ?", living)
    group = erasure("group", *many)
    line = audit(tmp_path, group, in_use={living})[1]
    assert line.verdict is Verdict.FAIL
    assert "301 keys live that an erasure destroyed" in line.text
    assert audit(tmp_path, group)[1].verdict is Verdict.CANNOT_TELL, "one more lives, which is not the group's"


def test_what_exists_uses_its_keys() -> None:
    live = LiveSet()
    live.apply_change(COLLECTIONS, Put("u", collection("u")))
    live.apply_change(PERSONS, Put("p", person("p", kid="of a person")))
    live.apply_change(TEMPLATES, Put("u/e", template("e", None, uid="u", kid="of a face")))
    assert kids_in_use(live) == {"key-of-u", "of a person", "of a face"}


def test_an_erasure_that_destroyed_no_key_is_told_by_its_subject_alone(store: KeyStore, tmp_path: Path) -> None:
    face = erasure("face")
    assert audit(tmp_path, face)[1].verdict is Verdict.PASS
    with closing(KeyRows(SqliteKeys(tmp_path / "keys.sqlite"))) as rows:
        assert told(rows, face).holding({"subject of face"}) == {"face"}
        assert told(rows, face).holding({"somebody else"}) == set()
