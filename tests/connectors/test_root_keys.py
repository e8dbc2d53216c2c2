"""Promises of a rotation: every key opens before and after it, no copy from before does, and a crash is safe."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors import ServiceRefused
from connectors.key_rows import KeyRows, Rewrapped
from connectors.key_sqlite import SqliteKeys
from connectors.keystore import KeyDestroyed, KeyStore
from connectors.root_key import RootKeyFiles
from connectors.root_keys import LEASE, ROOT_LEASE, destroy, rotate
from connectors.root_keys import opened as root_opened
from tests.connectors.key_places import Place, opened, output, process

CALLS_OF_A_ROTATION = 14  # to rows and provider, with the keys of `sealed`


class Killed(BaseException):
    """The process ends here."""


class Mortal:
    """Rows or a provider whose calls are counted, together; the last admitted one is never answered."""

    def __init__(self, real: Any, budget: list[int], *, answered: bool) -> None:
        self._real = real
        self._budget = budget
        self._answered = answered

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)

        def called(*arguments: Any) -> Any:
            self._budget[0] -= 1
            if self._budget[0] == 0:
                if self._answered:
                    real(*arguments)
                raise Killed
            return real(*arguments)

        return called


@pytest.fixture
def rows(place: Place) -> Iterator[KeyRows]:
    rows = KeyRows(place.database())
    yield rows
    rows.close()


@pytest.fixture
def store(place: Place) -> Iterator[KeyStore]:
    store = opened(place)
    yield store
    store.close()


def sealed(store: KeyStore, count: int = 20) -> dict[str, tuple[bytes, bytes]]:
    kids = [store.new("person") for _ in range(count)]
    return {kid: store.seal(kid, kid.encode(), b"") for kid in kids}


def all_open(place: Place, values: dict[str, tuple[bytes, bytes]]) -> bool:
    store = opened(place)
    try:
        return all(store.open(kid, *value, b"") == kid.encode() for kid, value in values.items())
    finally:
        store.close()


def test_after_a_rotation_all_opens_and_everything_is_under_the_new_version(
    store: KeyStore, rows: KeyRows, place: Place
) -> None:
    values = sealed(store)
    dead = store.new("person")
    store.destroy([dead])
    assert rotate(rows, RootKeyFiles(place.folder), 1.0) == (2, 20, [1])
    assert rows.under_roots() == {2: 20}
    assert [path.name for path in place.folder.glob("root*")] == ["root-2.key"]
    assert all_open(place, values)
    assert not store.alive(dead)
    with pytest.raises(KeyDestroyed):
        store.seal(dead, b"", b"")
    assert rotate(rows, RootKeyFiles(place.folder), 2.0) == (3, 20, [2])
    assert all_open(place, values)


def test_rows_saved_before_a_rotation_open_with_nothing_that_is_left(
    store: KeyStore, rows: KeyRows, place: Place
) -> None:
    sealed(store)
    provider = RootKeyFiles(place.folder)
    saved = rows.roots()
    assert root_opened(provider, saved[0]).version == 1, "before, they do"
    rotate(rows, provider, 1.0)
    with pytest.raises(ServiceRefused, match="lost its root key"):
        root_opened(provider, saved[0])
    # Nor does another version open it, if somebody says that it is that one's.
    with pytest.raises(ServiceRefused, match="does not open"):
        root_opened(provider, saved[0]._replace(version=2))


def test_a_saved_file_does_not_open_after_a_rotation(tmp_path: Path) -> None:
    store = KeyStore.create(tmp_path / "keys")
    sealed(store)
    store.close()
    shutil.copy(tmp_path / "keys" / "keys.sqlite", tmp_path / "saved.sqlite")
    rows = KeyRows(SqliteKeys(tmp_path / "keys" / "keys.sqlite"))
    rotate(rows, RootKeyFiles(tmp_path / "keys"), 1.0)
    rows.close()
    with pytest.raises(ServiceRefused, match="lost its root key"):
        KeyStore(KeyRows(SqliteKeys(tmp_path / "saved.sqlite")), RootKeyFiles(tmp_path / "keys"))


def test_others_go_on_through_a_rotation(store: KeyStore, rows: KeyRows, place: Place) -> None:
    seconds = [0.0]
    another = opened(place, timer=lambda: seconds[0])
    values = sealed(another, 3)
    rotate(rows, RootKeyFiles(place.folder), 1.0)
    fresh = another.new("person")
    assert rows.under_roots() == {2: 4}, "a key drawn by who had not heard of it goes under the new version"
    for moment in (LEASE, ROOT_LEASE + LEASE):
        seconds[0] = moment
        assert all(another.open(kid, *value, b"") == kid.encode() for kid, value in values.items())
        another.seal(fresh, b"", b"")
    another.close()


def test_a_key_that_moves_between_two_questions_opens(
    store: KeyStore, rows: KeyRows, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    kid = store.new("person")
    another = opened(place)
    asked = another._rows.wrapped
    moved: list[Rewrapped | None] = []

    def slowly(kid: str) -> Rewrapped | None:
        answer = asked(kid)
        if not moved:
            moved.append(answer)
            rotate(rows, RootKeyFiles(place.folder), 1.0)
            another._roots.forget()
        return answer

    monkeypatch.setattr(another._rows, "wrapped", slowly)
    another.seal(kid, b"", b"")
    assert [each.root for each in moved if each is not None] == [1]
    another.close()


@pytest.mark.parametrize("answered", [False, True])
def test_a_rotation_may_end_at_any_call(place: Place, *, answered: bool) -> None:
    store = opened(place)
    values = sealed(store, 4)
    provider = RootKeyFiles(place.folder)
    ends = 0
    for last in range(1, CALLS_OF_A_ROTATION + 10):
        rows = KeyRows(place.database())
        budget = [last]
        try:
            rotate(Mortal(rows, budget, answered=answered), Mortal(provider, budget, answered=answered), 1.0)  # type: ignore[arg-type]
        except Killed:
            ends += 1
        else:
            break
        finally:
            rows.close()
        assert all_open(place, values)
        values |= sealed(store, 1)
    assert ends >= 8, "the search must have found the calls"
    assert all_open(place, values)
    rows = KeyRows(place.database())
    newest = rotate(rows, provider, 2.0).version
    assert provider.versions() == [newest]
    assert rows.under_roots() == {newest: len(values)}
    assert all_open(place, values)
    rows.close()
    store.close()


def test_kill_9_amid_rotations_loses_nothing(place: Place) -> None:
    store = opened(place)
    values = sealed(store, 60)
    store.close()
    code = (
        "from connectors.root_keys import rotate\nstore = opened()\nprint('go', flush=True)\n"
        "while True: rotate(store._rows, store._provider, 1.0)"
    )
    for _ in range(3):
        killed = process(place, code)
        assert killed.stdout is not None
        assert killed.stdout.readline() == "go\n"
        time.sleep(0.05 + secrets.randbelow(200) / 1000)
        os.kill(killed.pid, signal.SIGKILL)
        killed.communicate(timeout=10)
        assert all_open(place, values)
    rows = KeyRows(place.database())
    version = rotate(rows, RootKeyFiles(place.folder), 1.0).version
    rows.close()
    assert [path.name for path in place.folder.glob("root*")] == [f"root-{version}.key"]
    assert all_open(place, values)


def test_a_destroyed_root_makes_everything_unreadable(store: KeyStore, rows: KeyRows, place: Place) -> None:
    values = sealed(store, 3)
    unaware = opened(place, timer=lambda: 0.0)
    fresh = unaware.new("person")
    destroy(rows, RootKeyFiles(place.folder), 1.0)
    destroy(rows, RootKeyFiles(place.folder), 2.0)
    assert list(place.folder.glob("root*")) == []
    assert rows.count() == (0, 4)
    with pytest.raises(ServiceRefused, match="was destroyed: nothing it sealed can be read"):
        opened(place)
    with pytest.raises(ServiceRefused, match="was destroyed"):
        rotate(rows, RootKeyFiles(place.folder), 1.0)
    for kid in (*values, fresh):
        with pytest.raises(KeyDestroyed):
            unaware.open(kid, b"", b"", b"")
    with pytest.raises(ServiceRefused, match="was destroyed"):
        unaware.new("person")
    unaware.close()


def test_a_root_that_its_owner_takes_away_ends_every_lease(place: Place) -> None:
    seconds = [0.0]
    store = opened(place, timer=lambda: seconds[0])
    kid = store.new("person")
    value = store.seal(kid, b"Anna", b"")
    (place.folder / "root-1.key").rename(place.folder / "taken-away")
    seconds[0] = ROOT_LEASE - 1
    assert store.open(kid, *value, b"") == b"Anna"
    seconds[0] = ROOT_LEASE + LEASE
    with pytest.raises(ServiceRefused, match="lost its root key"):
        store.open(kid, *value, b"")
    (place.folder / "taken-away").rename(place.folder / "root-1.key")
    assert store.open(kid, *value, b"") == b"Anna"
    store.close()


def test_two_rotations_at_once_leave_one_version(place: Place) -> None:
    store = opened(place)
    values = sealed(store, 30)
    store.close()
    code = (
        "from connectors import ServiceRefused\nfrom connectors.root_keys import rotate\nstore = opened()\n"
        "for _ in range(5):\n"
        "    try: rotate(store._rows, store._provider, 1.0)\n"
        "    except ServiceRefused as refused: assert 'another rotation' in str(refused)"
    )
    for each in [process(place, code) for _ in range(2)]:
        output(each)
    assert all_open(place, values)
