"""The root keys of a store: made, unwrapped for a while, replaced by newer ones, and destroyed.

Every step of a rotation may be the last one before a crash. Nothing is lost, because a root key goes only when no
living key is under it, and the next rotation destroys whatever an interrupted one left.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from connectors import ServiceRefused
from connectors.key_provider import ROOT_KEY_BYTES, KeyProvider
from connectors.key_rows import KeyRows, Rewrapped, RootRow, living
from connectors.root_key import NONCE_BYTES

LEASE = 5.0  # seconds an unwrapped data key may be used without asking again
ROOT_LEASE = 30.0  # seconds an unwrapped root key may be used without asking its provider again
LEASES = ROOT_LEASE + LEASE  # how long a running process may still open what a destroyed root key sealed
REWRAPPED_AT_ONCE = 500


class RootDestroyed(ServiceRefused):
    """This root key is gone, and with it what was wrapped by it."""


class Rotated(NamedTuple):
    """The newest version, how many keys went under it, and the versions that were destroyed."""

    version: int
    rewrapped: int
    destroyed: list[int]


class RootKey(NamedTuple):
    """A root key, unwrapped: it wraps data keys."""

    version: int
    cipher: AESGCM
    until: float

    def wrap(self, kid: str, key: bytes) -> bytes:
        """The data key (32 bytes), sealed for this key id: nonce, ciphertext and tag, 60 bytes."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self.cipher.encrypt(nonce, key, kid.encode())

    def unwrap(self, kid: str, wrapped: bytes) -> bytes:
        """The data key (32 bytes). ServiceRefused when another root key, or another key id, has it."""
        try:
            return self.cipher.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], kid.encode())
        except (InvalidTag, ValueError):
            raise ServiceRefused(
                f"a row of the key store does not open under version {self.version} of its root key: restore the store"
            ) from None


class RootKeys:
    """The root keys that this process uses, leased from the provider. Thread-safe; `timer` is monotonic, in seconds."""

    def __init__(self, rows: KeyRows, provider: KeyProvider, timer: Callable[[], float] = time.monotonic) -> None:
        """ServiceRefused when the rows have a root key that the provider does not open."""
        self._rows = rows
        self._provider = provider
        self._timer = timer
        self._leased: dict[int, RootKey] = {}
        self._newest: RootKey | None = None
        self._asking = threading.Lock()
        self.newest()

    def newest(self, *, afresh: bool = False) -> RootKey:
        """What new keys are wrapped by; `afresh` asks the rows, even within the lease."""
        with self._asking:
            if self._newest is None or afresh or self._newest.until <= self._timer():
                row = living(self._rows.roots()) or self._first()
                self._newest = self._opened(row)
            return self._newest

    def version(self, version: int) -> RootKey:
        """The root key of that version. RootDestroyed when it is gone."""
        with self._asking:
            leased = self._leased.get(version)
            if leased is not None and self._timer() < leased.until:
                return leased
            for row in self._rows.roots():
                if row.version == version and row.destroyed is None:
                    return self._opened(row)
        raise RootDestroyed(f"version {version} of the root key was destroyed, and what it wrapped with it")

    def forget(self) -> None:
        """Keep no root key in memory."""
        with self._asking:
            self._leased.clear()
            self._newest = None

    def _first(self) -> RootRow:
        make_root(self._rows, self._provider, self._provider.prepare())
        # Another process may have been first.
        row = living(self._rows.roots())
        if row is None:
            raise ServiceRefused("the key store keeps no root key: look at its database")
        return row

    def _opened(self, row: RootRow) -> RootKey:
        # The lease counts from before the question: the answer may be old when it comes.
        until = self._timer() + ROOT_LEASE
        root = opened(self._provider, row)._replace(until=until)
        # Older versions stay until a rotation is through.
        self._leased = {version: each for version, each in self._leased.items() if self._timer() < each.until}
        self._leased[row.version] = root
        return root


def opened(provider: KeyProvider, row: RootRow) -> RootKey:
    """Unwrap a root key; no lease."""
    return RootKey(row.version, AESGCM(provider.unwrap(row.version, row.wrapped)), 0.0)


def make_root(rows: KeyRows, provider: KeyProvider, version: int) -> bool:
    """Draw a root key, wrapped by that version of the provider; False when the rows have one as new."""
    return rows.add_root(RootRow(version, None, provider.wrap(version, os.urandom(ROOT_KEY_BYTES))))


def rotate(rows: KeyRows, provider: KeyProvider, now: float) -> Rotated:
    """Put every key under a new root key, and destroy all the older ones, also those that an interrupted run left.

    Afterwards no copy of the rows from before opens. The workers of a deployment may go on meanwhile.
    """
    living(rows.roots())
    version = provider.rotate()
    if not make_root(rows, provider, version):
        raise _overtaken(version)
    try:
        moved = _move_all(rows, provider, version, now)
        old = [each for each in provider.versions() if each < version]
        if old:
            provider.destroy_version(old[-1])
    except ServiceRefused:
        # A rotation that came later has destroyed what this one was about to read.
        if rows.roots()[-1].version > version:
            raise _overtaken(version) from None
        raise
    return Rotated(version, moved, old)


def _overtaken(version: int) -> ServiceRefused:
    return ServiceRefused(f"the key store has a newer root key than version {version}: another rotation is at work")


def _move_all(rows: KeyRows, provider: KeyProvider, version: int, now: float) -> int:
    roots = {row.version: row for row in rows.roots() if row.destroyed is None}
    newest = opened(provider, _found(roots, version))
    ciphers: dict[int, RootKey] = {}
    moved = 0
    # Around again, where a key came under an old version meanwhile.
    while not rows.retire_roots(version, now):
        for portion in iter(lambda: rows.under_older(version, REWRAPPED_AT_ONCE), []):
            for old in {key.root for key in portion} - ciphers.keys():
                ciphers[old] = opened(provider, _found(roots, old))
            rows.rewrap([_moved(key, ciphers[key.root], newest) for key in portion])
            moved += len(portion)
    return moved


def _found(roots: dict[int, RootRow], version: int) -> RootRow:
    if version not in roots:
        raise RootDestroyed(f"keys are under version {version} of the root key, which is gone: restore the store")
    return roots[version]


def _moved(key: Rewrapped, old: RootKey, newest: RootKey) -> Rewrapped:
    return Rewrapped(key.kid, newest.version, newest.wrap(key.kid, old.unwrap(key.kid, key.wrapped)))


def destroy(rows: KeyRows, provider: KeyProvider, now: float) -> None:
    """Destroy every key and every root key, here and at the provider; may be repeated, and needs nothing to open."""
    rows.destroy_all(now)
    provider.destroy()
