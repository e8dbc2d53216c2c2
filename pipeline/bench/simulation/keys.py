"""A simulated key store: real seals, a lease per process, and keys drawn from the seed so that a run repeats itself."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from connectors.keystore import KeyDestroyed, SealBroken
from connectors.root_keys import LEASE


@dataclass(slots=True)
class Row:
    """A key, None once it is destroyed."""

    key: bytes | None
    expires: datetime | None


@dataclass(slots=True)
class SimulatedRows:
    """What all processes share."""

    seed: int
    rows: dict[str, Row] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    sealed: int = 0
    heard: Callable[[], None] = lambda: None  # told of every destruction that was asked for

    def add(self, expires: datetime | None) -> str:
        kid = f"{len(self.rows):032x}"
        self.rows[kid] = Row(hashlib.sha256(f"{self.seed}|{kid}".encode()).digest(), expires)
        return kid

    def lives(self, kid: str) -> bool:
        return kid in self.rows and self.rows[kid].key is not None


@dataclass(slots=True)
class SimulatedKeys:
    """The key store as one process has it: it may open for `LEASE` seconds what another has destroyed."""

    shared: SimulatedRows
    now: Callable[[], datetime]
    timer: Callable[[], float]
    _leases: dict[str, tuple[AESGCM, float]] = field(default_factory=dict)

    def new(self, owner_kind: str, expires: datetime | None = None) -> str:
        return self.shared.add(expires)

    def named(self, name: str, expires: datetime) -> str:
        if expires <= self.now():
            raise KeyDestroyed("the time of this named key has passed")
        kid = self.shared.names.get(name)
        if kid is None:
            kid = self.shared.names[name] = self.shared.add(expires)
        if not self.shared.lives(kid):
            raise KeyDestroyed("this named key was destroyed")
        return kid

    def seal(self, kid: str, plaintext: bytes, associated: bytes) -> tuple[bytes, bytes]:
        self.shared.sealed += 1
        nonce = self.shared.sealed.to_bytes(12, "big")
        return nonce, self._key(kid).encrypt(nonce, plaintext, associated)

    def open(self, kid: str, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes:
        try:
            return self._key(kid).decrypt(nonce, ciphertext, associated)
        except InvalidTag:
            raise SealBroken("a sealed value does not open: altered, or moved to another record") from None

    def destroy(self, kids: Iterable[str]) -> None:
        for kid in kids:
            self.shared.rows.setdefault(kid, Row(None, None)).key = None
            self._leases.pop(kid, None)
        self.shared.heard()

    def destroy_expired(self, now: datetime) -> int:
        due = [
            kid
            for kid, row in self.shared.rows.items()
            if row.key is not None and row.expires is not None and row.expires <= now
        ]
        self.destroy(due)
        return len(due)

    def alive(self, kid: str) -> bool:
        return self.shared.lives(kid)

    def _key(self, kid: str) -> AESGCM:
        leased = self._leases.get(kid)
        if leased is not None and self.timer() < leased[1]:
            return leased[0]
        row = self.shared.rows.get(kid)
        if row is None or row.key is None:
            self._leases.pop(kid, None)
            raise KeyDestroyed("this key was destroyed")
        cipher = AESGCM(row.key)
        self._leases[kid] = (cipher, self.timer() + LEASE)
        return cipher
