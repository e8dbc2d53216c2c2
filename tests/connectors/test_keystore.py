"""Promises about keys: what is sealed opens only with its key and its record, and a destroyed key is nowhere.

Each of them for a file and for a PostgreSQL server.
"""

from __future__ import annotations

import hmac
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import ServiceRefused
from connectors.key_rows import NOTHING, KeyRows
from connectors.keystore import KeyDestroyed, KeyStore, SealBroken
from connectors.root_keys import LEASE
from tests.connectors.clock import NOON, Clock
from tests.connectors.key_places import Place, opened, output, process

TEMPLATE = bytes(range(256)) * 8


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(place: Place, clock: Clock) -> Iterator[KeyStore]:
    store = opened(place, now=clock.now, timer=clock.timer)
    yield store
    store.close()


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyStore]:
    store = KeyStore.create(tmp_path_factory.mktemp("keys"))
    yield store
    store.close()


@pytest.fixture
def another(place: Place, store: KeyStore, clock: Clock) -> Iterator[KeyStore]:
    """The same place seen as another process sees it: with caches of its own."""
    other = opened(place, now=clock.now, timer=clock.timer)
    yield other
    other.close()


@given(plaintext=st.binary(max_size=4096), associated=st.binary(max_size=64))
def test_what_is_sealed_opens(lasting: KeyStore, plaintext: bytes, associated: bytes) -> None:
    kid = lasting.named("round trip", datetime.now(UTC) + timedelta(hours=1))
    nonce, ciphertext = lasting.seal(kid, plaintext, associated)
    assert len(nonce) == 12
    assert len(ciphertext) == len(plaintext) + 16
    assert lasting.open(kid, nonce, ciphertext, associated) == plaintext


@given(data=st.data())
def test_an_altered_or_moved_value_does_not_open(lasting: KeyStore, data: st.DataObject) -> None:
    kid = lasting.named("round trip", datetime.now(UTC) + timedelta(hours=1))
    nonce, ciphertext = lasting.seal(kid, b"template", b"templates|anna/1")
    where = data.draw(st.integers(0, len(ciphertext) - 1))
    altered = bytearray(ciphertext)
    altered[where] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealBroken):
        lasting.open(kid, nonce, bytes(altered), b"templates|anna/1")
    with pytest.raises(SealBroken):
        lasting.open(kid, nonce, ciphertext, b"templates|bert/1")
    with pytest.raises(SealBroken):
        lasting.open(kid, nonce[:4], ciphertext, b"templates|anna/1")


def test_a_value_does_not_open_with_another_key(store: KeyStore) -> None:
    nonce, ciphertext = store.seal(store.new("person"), TEMPLATE, b"")
    with pytest.raises(SealBroken):
        store.open(store.new("person"), nonce, ciphertext, b"")


def test_a_destroyed_key_opens_and_seals_nothing_here_at_once(store: KeyStore) -> None:
    kid = store.new("person")
    nonce, ciphertext = store.seal(kid, TEMPLATE, b"")
    store.destroy([kid])
    with pytest.raises(KeyDestroyed):
        store.open(kid, nonce, ciphertext, b"")
    with pytest.raises(KeyDestroyed):
        store.seal(kid, TEMPLATE, b"")
    assert not store.alive(kid)
    store.destroy([kid])
    assert store.count() == (0, 1)


def test_elsewhere_a_destroyed_key_lives_no_longer_than_its_lease(
    store: KeyStore, another: KeyStore, clock: Clock
) -> None:
    kid = store.new("person")
    nonce, ciphertext = another.seal(kid, TEMPLATE, b"")
    store.destroy([kid])
    clock.seconds = LEASE - 0.1
    assert another.open(kid, nonce, ciphertext, b"") == TEMPLATE
    assert not another.alive(kid)
    clock.seconds = LEASE
    with pytest.raises(KeyDestroyed):
        another.open(kid, nonce, ciphertext, b"")


def test_another_process_opens_until_the_key_is_destroyed(store: KeyStore, place: Place) -> None:
    kid = store.new("person")
    nonce, ciphertext = store.seal(kid, b"Anna", b"name")
    opening = f"print(opened().open({kid!r}, {nonce!r}, {ciphertext!r}, b'name') == b'Anna')"
    assert output(process(place, opening)) == "True"
    store.destroy([kid])
    refused = f"try: {opening}\nexcept KeyDestroyed: print('destroyed')"
    assert output(process(place, refused)) == "destroyed"


def test_what_was_destroyed_is_told_with_its_time_and_without_its_key(
    store: KeyStore, place: Place, clock: Clock
) -> None:
    living, gone = store.new("person"), store.new("person")
    store.named("place", None)
    store.new("session", NOON + timedelta(hours=1))
    clock.seconds = 7.0
    store.destroy([gone])
    with closing(KeyRows(place.database())) as rows:
        (row,) = rows.destroyed()
        assert rows.owned() == {living}
    assert (row.kid, row.owner_kind, row.destroyed) == (gone, "person", clock.now().timestamp())
    assert row.wrapped == NOTHING
    assert store.alive(living)


def test_an_unknown_id_is_destroyed_for_ever(store: KeyStore) -> None:
    with pytest.raises(KeyDestroyed):
        store.seal("0" * 32, b"", b"")
    store.destroy(["0" * 32])
    assert store.count() == (0, 1)


def test_a_named_key_is_one_key(store: KeyStore, another: KeyStore) -> None:
    due = NOON + timedelta(seconds=30)
    kid = store.named("camera 1, 12:00:00", due)
    assert store.named("camera 1, 12:00:00", due) == kid
    assert another.named("camera 1, 12:00:00", due) == kid
    assert store.named("camera 1, 12:00:30", due) != kid
    assert store.count().alive == 2


def test_a_destroyed_name_never_comes_back(store: KeyStore, another: KeyStore, clock: Clock) -> None:
    due = NOON + timedelta(seconds=30)
    store.destroy([store.named("bucket", due)])
    for seen_by in (store, another):
        with pytest.raises(KeyDestroyed):
            seen_by.named("bucket", due)
    clock.seconds = 60.0
    with pytest.raises(KeyDestroyed):
        store.named("bucket", due)


def test_a_name_whose_time_has_passed_is_refused_even_from_the_cache(store: KeyStore, clock: Clock) -> None:
    due = NOON + timedelta(seconds=30)
    store.named("bucket", due)
    clock.seconds = 30.0
    with pytest.raises(KeyDestroyed):
        store.named("bucket", due)


def test_keys_that_have_an_end_can_be_destroyed_before_it(store: KeyStore) -> None:
    bucket, person = store.named("bucket", NOON + timedelta(hours=1)), store.new("person")
    place = store.named("place", None)
    assert store.destroy_ending() == 1
    assert [store.alive(kid) for kid in (bucket, person, place)] == [False, True, True]
    with pytest.raises(KeyDestroyed):
        store.named("bucket", NOON + timedelta(hours=1))
    assert store.destroy_ending() == 0


def test_expired_keys_are_destroyed_and_their_rows_swept_after_48_hours(store: KeyStore, clock: Clock) -> None:
    first, later = (store.named(f"bucket {n}", NOON + timedelta(seconds=10 * n)) for n in (1, 2))
    person = store.new("person")
    assert store.destroy_expired(NOON + timedelta(seconds=9)) == 0
    assert store.destroy_expired(NOON + timedelta(seconds=10)) == 1
    assert [store.alive(kid) for kid in (first, later, person)] == [False, True, True]
    with pytest.raises(KeyDestroyed):
        store.seal(first, b"", b"")
    assert store.destroy_expired(NOON + timedelta(hours=1)) == 1
    store.destroy([person])
    assert store.count() == (0, 3)
    clock.seconds = timedelta(hours=50).total_seconds()
    assert store.destroy_expired(clock.now()) == 0
    assert store.count() == (0, 1), "the row of a person's key stays, those of buckets leave"
    with pytest.raises(KeyDestroyed):
        store.named("bucket 1", NOON + timedelta(seconds=10))


def test_processes_that_create_at_once_share_one_root_and_one_key_per_name(place: Place) -> None:
    code = (
        "store = opened()\nkid = store.named('window', datetime.now(UTC) + timedelta(hours=1))\n"
        "nonce, text = store.seal(kid, b'x', b'')\nprint(kid, nonce.hex(), text.hex())"
    )
    started = [process(place, code) for _ in range(4)]
    lines = [output(each).split() for each in started]
    assert len({kid for kid, _, _ in lines}) == 1
    store = opened(place)
    assert all(store.open(kid, bytes.fromhex(n), bytes.fromhex(text), b"") == b"x" for kid, n, text in lines)
    store.close()
    assert place.query("SELECT count(*) FROM faceline_roots") == [(1,)]
    assert [path.name for path in place.folder.glob("root*")] == ["root-1.key"]


def test_a_kill_amid_destructions_brings_nothing_acknowledged_back(place: Place) -> None:
    store = opened(place)
    for _ in range(3):
        kids = [store.new("person") for _ in range(60)]
        killed = process(
            place, f"store = opened()\nfor kid in {kids!r}:\n    store.destroy([kid]); print(kid, flush=True)"
        )
        assert killed.stdout is not None
        acknowledged = [killed.stdout.readline().strip() for _ in range(20)]
        os.kill(killed.pid, signal.SIGKILL)
        acknowledged += [line.strip() for line in killed.communicate(timeout=10)[0].splitlines() if len(line) == 33]
        assert not any(store.alive(kid) for kid in acknowledged)
        survivors = [kid for kid in kids if store.alive(kid)]
        for kid in survivors:
            store.seal(kid, b"still whole", b"")
        assert len(kids) - len(survivors) - len(acknowledged) <= 1
    store.close()


def test_threads_share_a_store(store: KeyStore) -> None:
    kids = [store.new("person") for _ in range(20)]
    trouble: list[BaseException] = []

    def use() -> None:
        try:
            for kid in kids:
                assert store.open(kid, *store.seal(kid, b"x", b""), b"") == b"x"
                store.named("shared", NOON + timedelta(hours=1))
        except BaseException as error:
            trouble.append(error)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not trouble
    assert store.count().alive == 21


def test_a_root_key_that_is_lost_is_not_replaced_by_another(store: KeyStore, place: Place) -> None:
    (place.folder / "root-1.key").unlink()
    with pytest.raises(ServiceRefused, match=r"lost its root key: restore .*root-1\.key"):
        opened(place)
    assert not list(place.folder.glob("root*"))


def test_a_root_key_of_another_store_is_refused(store: KeyStore, place: Place, tmp_path: Path) -> None:
    KeyStore.create(tmp_path / "other").close()
    (tmp_path / "other" / "root-1.key").rename(place.folder / "root-1.key")
    with pytest.raises(ServiceRefused, match="does not open the key store"):
        opened(place)


def test_wipe_leaves_nothing(store: KeyStore, another: KeyStore, place: Place) -> None:
    kid = store.new("person")
    store.wipe()
    assert not place.folder.exists() or list(place.folder.iterdir()) == []
    with pytest.raises((KeyDestroyed, ServiceRefused)):
        another.seal(kid, b"", b"")
    fresh = opened(place)
    with pytest.raises(KeyDestroyed):
        fresh.seal(kid, b"", b"")
    fresh.close()


def test_a_cached_key_costs_microseconds(lasting: KeyStore) -> None:
    due = datetime.now(UTC) + timedelta(hours=1)
    lasting.seal(lasting.named("window", due), TEMPLATE, b"")
    started = time.process_time()
    for _ in range(1000):
        lasting.seal(lasting.named("window", due), TEMPLATE, b"")
    assert (time.process_time() - started) / 1000 < 0.001


def test_what_is_derived_is_the_same_everywhere_and_ends_with_its_key(
    store: KeyStore, another: KeyStore, clock: Clock
) -> None:
    kid = store.new("gallery")
    derived = store.derive(kid, b"rotation")
    assert (len(derived), len(store.derive(kid, b"rotation", 99))) == (32, 99)
    assert another.derive(kid, b"rotation") == derived
    others = {store.derive(kid, b"another purpose"), store.derive(store.new("gallery"), b"rotation")}
    assert derived not in others
    store.destroy([kid])
    with pytest.raises(KeyDestroyed):
        store.derive(kid, b"rotation")
    clock.seconds = LEASE - 0.1
    assert another.derive(kid, b"rotation") == derived
    clock.seconds = LEASE
    with pytest.raises(KeyDestroyed):
        another.derive(kid, b"rotation")


def test_what_is_derived_is_hkdf(store: KeyStore, place: Place) -> None:
    """By the definition of HKDF-Expand, from the key as it is wrapped."""
    kid = store.new("gallery")
    ((wrapped,),) = place.query(f"SELECT wrapped FROM faceline_keys WHERE kid = '{kid}'")
    key = store._roots.newest().unwrap(kid, bytes(wrapped))
    assert store.derive(kid, b"rotation") == hmac.digest(key, b"rotation\x01", "sha256")


def test_a_name_may_be_looked_up_without_making_its_key(store: KeyStore, another: KeyStore, clock: Clock) -> None:
    with pytest.raises(KeyDestroyed):
        store.known("window")
    kid = another.named("window", NOON + timedelta(seconds=30))
    lasting = another.named("gallery", None)
    assert (store.known("window"), store.known("gallery"), store.known("gallery")) == (kid, lasting, lasting)
    clock.seconds = timedelta(days=3650).total_seconds()
    assert store.destroy_expired(clock.now()) == 1
    with pytest.raises(KeyDestroyed):
        store.known("window")
    assert store.named("gallery", None) == lasting
    store.destroy([lasting])
    with pytest.raises(KeyDestroyed):
        store.known("gallery")
    with pytest.raises(KeyDestroyed):
        store.named("gallery", None)


def test_one_process_at_a_time_is_at_a_work_and_a_killed_one_is_not(store: KeyStore, place: Place) -> None:
    code = "import time\nwith opened().alone('rebuild'):\n    print('in', flush=True); time.sleep(60)"
    with process(place, code) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == "in"
        try:
            with pytest.raises(ServiceRefused, match=r"another process is at work \(rebuild\)"), store.alone("rebuild"):
                pytest.fail("two are in")
            with store.alone("something"):
                pass
        finally:
            os.kill(other.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while True:
        try:
            with store.alone("rebuild"), pytest.raises(ServiceRefused), store.alone("rebuild"):
                pytest.fail("it is in twice")
            break
        except ServiceRefused:
            # A server learns of a killed client a moment later.
            assert time.monotonic() < deadline
            time.sleep(0.05)
    with store.alone("rebuild"):
        pass
