"""The one mutable place outside Kafka: keys live here, because a key must be destroyable at once.

Records carry a key's random id (`kid`), never the key. A destroyed id stays destroyed: its row remains, without a key.
Several processes use one store; a destruction reaches the others within `LEASE` seconds. Until then they may open what
they hold: whoever promises that nobody can waits that long. That nobody is *named* any more rests on the live set.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cachetools import LRUCache, TLRUCache
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from connectors import root_keys
from connectors.key_provider import KeyProvider
from connectors.key_rows import KeyCount, KeyRow, KeyRows
from connectors.key_sqlite import SqliteKeys
from connectors.root_key import KEY_BYTES, NONCE_BYTES, RootKeyFiles
from connectors.root_keys import LEASE, RootDestroyed, RootKeys

REMEMBERED = timedelta(hours=48)  # how long the row of a destroyed key outlives the key's own time
CACHED_KEYS = 65536  # a day has 8640 expiry buckets of 10 s

Clock = Callable[[], datetime]


class KeyDestroyed(Exception):
    """What this key sealed is gone for good. An id that was never here answers the same."""


class SealBroken(Exception):
    """A ciphertext that was altered, or moved to another record: it opens under no associated data but its own."""


class _Lease(NamedTuple):
    """An unwrapped key, and until when (of the monotonic clock) it may be used without asking again."""

    key: bytes
    cipher: AESGCM
    until: float


def wall_clock() -> datetime:
    """The present, aware."""
    return datetime.now(UTC)


class KeyStore:
    """Data keys (random 256 bits) by random 128-bit id in hex, wrapped by the newest root key. Thread-safe.

    `now` is the wall clock (aware), `timer` a monotonic one in seconds. Every method may raise what the rows and the
    provider raise.
    """

    def __init__(
        self,
        rows: KeyRows,
        provider: KeyProvider,
        *,
        now: Clock = wall_clock,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open a store, made first where there is none; ServiceRefused when its root key does not fit."""
        self._rows = rows
        self._provider = provider
        self._now = now
        self._timer = timer
        self._leases: TLRUCache[str, _Lease] = TLRUCache(CACHED_KEYS, lambda _kid, lease, _now: lease.until, timer)
        self._names: LRUCache[str, tuple[str, datetime | None]] = LRUCache(CACHED_KEYS)
        self._cached = threading.Lock()
        self._changing = threading.Lock()
        try:
            self._roots = RootKeys(rows, provider, timer)
        except BaseException:
            rows.close()
            raise

    @classmethod
    def create(cls, folder: Path, *, now: Clock = wall_clock, timer: Callable[[], float] = time.monotonic) -> KeyStore:
        """The store of one machine: a file, and its root keys in files beside it."""
        return cls(KeyRows(SqliteKeys(folder / "keys.sqlite")), RootKeyFiles(folder), now=now, timer=timer)

    def new(self, owner_kind: str, expires: datetime | None = None) -> str:
        """A fresh key; its id (32 hex digits). `owner_kind` says what it is for ("person"), never whose."""
        row = self._drawn(owner_kind, None, expires)
        while not self._rows.add(row):
            self._roots.newest(afresh=True)
            row = self._drawn(owner_kind, None, expires)
        return row.kid

    def named(self, name: str, expires: datetime | None) -> str:
        """The id of the key of this name, made at the first call in any process; later calls do not move `expires`.

        Raises KeyDestroyed when `expires` has passed or the key was destroyed: a name never gets a second key.
        """
        known = self._remembered(name)
        if known is not None:
            return known
        if expires is not None and expires <= self._now():
            raise KeyDestroyed("the time of this named key has passed")
        with self._changing:
            while (row := self._rows.get_or_add(self._drawn("named", name, expires))) is None:
                self._roots.newest(afresh=True)
            return self._living(row)

    def known(self, name: str) -> str:
        """The id of the key of this name, which nobody makes here; KeyDestroyed where there is none, or none lives."""
        known = self._remembered(name)
        if known is not None:
            return known
        with self._changing:
            row = self._rows.of_name(name)
            if row is None:
                raise KeyDestroyed("no key has this name")
            return self._living(row)

    def derive(self, kid: str, purpose: bytes, length: int = 32) -> bytes:
        """`length` (1 to 8160) bytes of this key for one purpose, the same in every process; or KeyDestroyed.

        HKDF-Expand with SHA-256 (RFC 5869, 3.3: a key that is random needs no extraction). Whoever keeps what it
        derived asks again before each use, so that its end is the key's, within `LEASE`.
        """
        return HKDFExpand(SHA256(), length, purpose).derive(self._lease(kid).key)

    def seal(self, kid: str, plaintext: bytes, associated: bytes) -> tuple[bytes, bytes]:
        """Nonce (12 random bytes) and ciphertext with tag (plaintext + 16 bytes), AES-256-GCM; or KeyDestroyed.

        A key may seal 2^32 times (NIST SP 800-38D, 8.3): keep a key per person, bucket or window, never one for all.
        """
        nonce = os.urandom(NONCE_BYTES)
        return nonce, self._lease(kid).cipher.encrypt(nonce, plaintext, associated)

    def open(self, kid: str, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes:
        """The plaintext. Raises KeyDestroyed, or SealBroken when a bit or the associated data differ."""
        cipher = self._lease(kid).cipher
        try:
            return cipher.decrypt(nonce, ciphertext, associated)
        except (InvalidTag, ValueError):
            raise SealBroken("a sealed value does not open: altered, or moved to another record") from None

    def destroy(self, kids: Iterable[str]) -> None:
        """Overwrite these keys, all or none; durable on return. Here at once, in other processes within `LEASE`.

        Idempotent; an unknown id is recorded as destroyed too, so that it can never come to life.
        """
        doomed = set(kids)
        with self._changing:
            self._rows.destroy(doomed, self._now().timestamp())
            self._forget(doomed)

    def destroy_expired(self, now: datetime) -> int:
        """Destroy every key with `expires` <= now; how many. Sweeps the rows of those gone for 48 h."""
        # A swept name cannot come back: its time has passed, and `named` refuses that by itself.
        with self._changing:
            doomed = self._rows.destroy_expired(now.timestamp(), REMEMBERED.total_seconds())
            self._forget(doomed)
        return len(doomed)

    def destroy_ending(self) -> int:
        """Destroy every key that has an end, before it comes; how many. Whoever seals for that time is refused."""
        doomed = self._rows.ending()
        self.destroy(doomed)
        return len(doomed)

    def alive(self, kid: str) -> bool:
        """Whether the key exists now, asked from the rows, not from a lease."""
        return self._rows.wrapped(kid) is not None

    def alone(self, purpose: str) -> AbstractContextManager[None]:
        """Be the only process of the deployment at this work; ServiceRefused while another is. A killed one is not.

        `purpose` is a word of letters that says what the work is.
        """
        return self._rows.alone(purpose)

    def count(self) -> KeyCount:
        """How many keys live, and how many ids are kept as destroyed."""
        return self._rows.count()

    def wipe(self) -> None:
        """Destroy every key, then the root keys, then the rows; the store is closed after it."""
        with self._changing:
            root_keys.destroy(self._rows, self._provider, self._now().timestamp())
            self._rows.remove()
            self._drop_caches()

    def close(self) -> None:
        """Let go of the rows and of every unwrapped key."""
        with self._changing:
            self._rows.close()
            self._drop_caches()

    def _drawn(self, kind: str, name: str | None, expires: datetime | None) -> KeyRow:
        kid = secrets.token_hex(16)
        root = self._roots.newest()
        wrapped = root.wrap(kid, AESGCM.generate_key(bit_length=KEY_BYTES * 8))
        return KeyRow(kid, kind, name, None if expires is None else expires.timestamp(), None, root.version, wrapped)

    def _remembered(self, name: str) -> str | None:
        with self._cached:
            kid, expires = self._names.get(name, (None, None))
        if expires is not None and expires <= self._now():
            raise KeyDestroyed("the time of this named key has passed")
        return kid

    def _living(self, row: KeyRow) -> str:
        expires = None if row.expires is None else datetime.fromtimestamp(row.expires, UTC)
        if row.destroyed is not None or (expires is not None and expires <= self._now()):
            raise KeyDestroyed("this named key was destroyed, or its time has passed")
        with self._cached:
            self._names[row.name or ""] = (row.kid, expires)
        return row.kid

    def _lease(self, kid: str) -> _Lease:
        with self._cached:
            lease = self._leases.get(kid)
        if lease is not None:
            return lease
        # Under the lock of `destroy`: a key read before a destruction must not enter the cache after it.
        with self._changing:
            # The lease counts from before the question: the answer may be old when it comes.
            until = self._timer() + LEASE
            key = self._unwrapped(kid)
            lease = _Lease(key, AESGCM(key), until)
            with self._cached:
                self._leases[kid] = lease
        return lease

    def _unwrapped(self, kid: str, *, again: bool = True) -> bytes:
        found = self._rows.wrapped(kid)
        if found is None:
            raise KeyDestroyed("this key was destroyed")
        try:
            return self._roots.version(found.root).unwrap(kid, found.wrapped)
        except RootDestroyed:
            # A rotation may have taken the key along between the two questions.
            if not again:
                raise
            return self._unwrapped(kid, again=False)

    def _forget(self, kids: set[str]) -> None:
        with self._cached:
            for kid in kids:
                self._leases.pop(kid, None)
            for name in [name for name, (kid, _) in self._names.items() if kid in kids]:
                del self._names[name]

    def _drop_caches(self) -> None:
        with self._cached:
            self._leases.clear()
            self._names.clear()
        self._roots.forget()
