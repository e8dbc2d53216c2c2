"""Wrapped keys as rows of a database: nothing here can unwrap. SQLite or PostgreSQL is behind it.

Two tables: the data keys, each wrapped under a root key's version, and the root keys, each wrapped by the provider's
version of the same number. A destroyed row stays, without its key, so that its id never comes to life.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from connectors import ServiceRefused

WRAPPED_BYTES = 60  # nonce 12, key 32, tag 16
NOTHING = bytes(WRAPPED_BYTES)
# {blob} and {real} are the database's words for bytes and for a float of 64 bits.
SCHEMA = (
    """CREATE TABLE IF NOT EXISTS faceline_keys (
        kid TEXT PRIMARY KEY,
        owner_kind TEXT NOT NULL,
        name TEXT UNIQUE,
        expires {real},
        destroyed {real},
        root INTEGER NOT NULL,
        wrapped {blob} NOT NULL CHECK (length(wrapped) = 60)
    )""",
    "CREATE INDEX IF NOT EXISTS faceline_expiring ON faceline_keys (expires) WHERE expires IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS faceline_living ON faceline_keys (root) WHERE destroyed IS NULL",
    """CREATE TABLE IF NOT EXISTS faceline_roots (
        version INTEGER PRIMARY KEY,
        destroyed {real},
        wrapped {blob} NOT NULL
    )""",
)
TABLES = ("faceline_keys", "faceline_roots")
COLUMNS = "kid, owner_kind, name, expires, destroyed, root, wrapped"
VALUES = ":kid, :owner_kind, :name, :expires, :destroyed, :root, :wrapped"
INSERT = f"INSERT INTO faceline_keys ({COLUMNS}) VALUES ({VALUES})"  # noqa: S608
OVERWRITE = "wrapped = :nothing, destroyed = coalesce(faceline_keys.destroyed, :now)"
DESTROY_ALL = f"UPDATE faceline_keys SET {OVERWRITE}"  # noqa: S608
DESTROY_EXPIRED = f"{DESTROY_ALL} WHERE expires <= :now AND destroyed IS NULL RETURNING kid"
DESTROY = f"""INSERT INTO faceline_keys (kid, owner_kind, destroyed, root, wrapped)
    VALUES (:kid, 'unknown', :now, 0, :nothing) ON CONFLICT (kid) DO UPDATE SET {OVERWRITE}"""  # noqa: S608
DESTROY_ROOTS = """UPDATE faceline_roots SET wrapped = :nothing, destroyed = :now
    WHERE version < :below AND destroyed IS NULL"""
EVERY_VERSION = 1 << 30


class KeyRow(NamedTuple):
    """One key; times in seconds since 1970, `destroyed` None while it lives; `root` is the version that wraps it."""

    kid: str
    owner_kind: str
    name: str | None
    expires: float | None
    destroyed: float | None
    root: int
    wrapped: bytes


class RootRow(NamedTuple):
    """One root key; `wrapped` is empty once it is destroyed."""

    version: int
    destroyed: float | None
    wrapped: bytes


class KeyCount(NamedTuple):
    """How many keys can still open something, and how many ids are kept as destroyed."""

    alive: int
    destroyed: int


class Rewrapped(NamedTuple):
    """A key that goes from one root key to another."""

    kid: str
    root: int
    wrapped: bytes


class KeyDatabase(Protocol):
    """A database with the tables above. Statements name their parameters as :name; every change is durable on return.

    Raises ServiceUnavailable where it does not answer now, ServiceRefused where a person must act.
    """

    @property
    def name(self) -> str:
        """What and where it is; no secret."""

    def ask(self, statement: str, values: Mapping[str, Any] | None = None) -> Sequence[tuple[Any, ...]]:
        """The rows that a statement returns, none for one that returns nothing."""

    def ask_many(self, statement: str, values: Sequence[Mapping[str, Any]]) -> None:
        """Execute it once for each."""

    def changing(self) -> AbstractContextManager[None]:
        """A transaction around the statements within; one at a time, in all processes."""

    def alone(self, purpose: str) -> AbstractContextManager[None]:
        """Hold what only one process at a time may hold; ServiceRefused while another does. It ends with the process.

        The block may be entered in one thread and left in another.
        """

    def remove(self) -> None:
        """Close, and remove what was made."""

    def close(self) -> None:
        """Let go of it."""


class KeyRows:
    """The rows, shared by the threads of this process and by other processes. May raise what its database raises."""

    def __init__(self, database: KeyDatabase) -> None:
        self._database = database
        self.name = database.name
        self.close = database.close
        self.remove = database.remove
        self.alone = database.alone

    def roots(self) -> list[RootRow]:
        """Every root key there ever was, oldest first."""
        found = self._database.ask("SELECT version, destroyed, wrapped FROM faceline_roots ORDER BY version")
        return [RootRow(version, destroyed, bytes(wrapped)) for version, destroyed, wrapped in found]

    def add_root(self, root: RootRow) -> bool:
        """Keep the newest root key, under which keys go from now on; False when there is one as new."""
        with self._database.changing():
            if root.version <= self._newest():
                return False
            insert = "INSERT INTO faceline_roots (version, destroyed, wrapped) VALUES (:version, NULL, :wrapped)"
            self._database.ask(insert, {"version": root.version, "wrapped": root.wrapped})
        return True

    def retire_roots(self, below: int, now: float) -> bool:
        """Overwrite the root keys older than a version; False, and nothing is done, while a key is under one."""
        with self._database.changing():
            living = "SELECT count(*) FROM faceline_keys WHERE destroyed IS NULL AND root < :below"
            if self._database.ask(living, {"below": below})[0][0]:
                return False
            self._database.ask(DESTROY_ROOTS, {"nothing": b"", "now": now, "below": below})
        return True

    def under_older(self, version: int, most: int) -> list[Rewrapped]:
        """Living keys that are still under an older root key than this version."""
        statement = """SELECT kid, root, wrapped FROM faceline_keys
            WHERE destroyed IS NULL AND root < :version ORDER BY kid LIMIT :most"""
        found = self._database.ask(statement, {"version": version, "most": most})
        return [Rewrapped(kid, root, bytes(wrapped)) for kid, root, wrapped in found]

    def rewrap(self, keys: Sequence[Rewrapped]) -> None:
        """Overwrite keys, wrapped anew; what was destroyed meanwhile stays so."""
        statement = """UPDATE faceline_keys SET root = :root, wrapped = :wrapped
            WHERE kid = :kid AND destroyed IS NULL AND root < :root"""
        with self._database.changing():
            self._database.ask_many(statement, [key._asdict() for key in keys])

    def add(self, row: KeyRow) -> bool:
        """Keep a new key; False when its root key is not the newest any more, or was destroyed."""
        with self._database.changing():
            if row.root != self._current():
                return False
            self._database.ask(INSERT, row._asdict())
        return True

    def get_or_add(self, row: KeyRow) -> KeyRow | None:
        """The row of this name, which is the given one if there was none in any process; None as `add` says False."""
        with self._database.changing():
            if row.name is not None and (found := self.of_name(row.name)) is not None:
                return found
            if row.root != self._current():
                return None
            self._database.ask(INSERT, row._asdict())
        return row

    def of_name(self, name: str) -> KeyRow | None:
        """The row of this name."""
        named = f"SELECT {COLUMNS} FROM faceline_keys WHERE name = :name"  # noqa: S608
        for kid, kind, name_, expires, destroyed, root, wrapped in self._database.ask(named, {"name": name}):
            return KeyRow(kid, kind, name_, expires, destroyed, root, bytes(wrapped))
        return None

    def wrapped(self, kid: str) -> Rewrapped | None:
        """The wrapped key (60 bytes) and its root key's version; None when it was destroyed or is unknown."""
        statement = "SELECT kid, root, wrapped FROM faceline_keys WHERE kid = :kid AND destroyed IS NULL"
        for kid_, root, wrapped in self._database.ask(statement, {"kid": kid}):
            return Rewrapped(kid_, root, bytes(wrapped))
        return None

    def count(self) -> KeyCount:
        """The rows, counted."""
        counts = "SELECT count(*) - count(destroyed), count(destroyed) FROM faceline_keys"
        return KeyCount(*self._database.ask(counts)[0])

    def destroyed(self) -> list[KeyRow]:
        """Every key that was destroyed and is still remembered."""
        statement = f"SELECT {COLUMNS} FROM faceline_keys WHERE destroyed IS NOT NULL"  # noqa: S608
        return [
            KeyRow(kid, kind, name, expires, destroyed, root, bytes(wrapped))
            for kid, kind, name, expires, destroyed, root, wrapped in self._database.ask(statement)
        ]

    def owned(self) -> set[str]:
        """The ids of living keys that have neither a name nor an end: of persons, collections, faces of a list."""
        statement = "SELECT kid FROM faceline_keys WHERE destroyed IS NULL AND name IS NULL AND expires IS NULL"
        return {kid for (kid,) in self._database.ask(statement)}

    def ending(self) -> set[str]:
        """The ids of living keys that have an end: of faces, of frames."""
        statement = "SELECT kid FROM faceline_keys WHERE expires IS NOT NULL AND destroyed IS NULL"
        return {kid for (kid,) in self._database.ask(statement)}

    def under_roots(self) -> dict[int, int]:
        """How many living keys are under each version."""
        counts = "SELECT root, count(*) FROM faceline_keys WHERE destroyed IS NULL GROUP BY root"
        return dict(self._database.ask(counts))

    def destroy(self, kids: Iterable[str], now: float) -> None:
        """Overwrite these keys, all or none; an id without a row gets a destroyed one."""
        values = [{"kid": kid, "now": now, "nothing": NOTHING} for kid in kids]
        with self._database.changing():
            self._database.ask_many(DESTROY, values)

    def destroy_expired(self, now: float, remembered: float) -> set[str]:
        """Overwrite what expired by `now`; its ids. Rows that expired and died `remembered` seconds ago are removed."""
        with self._database.changing():
            doomed = self._database.ask(DESTROY_EXPIRED, {"now": now, "nothing": NOTHING})
            sweep = "DELETE FROM faceline_keys WHERE expires <= :past AND destroyed <= :past"
            self._database.ask(sweep, {"past": now - remembered})
        return {kid for (kid,) in doomed}

    def destroy_all(self, now: float) -> None:
        """Overwrite every key and every root key."""
        with self._database.changing():
            self._database.ask(DESTROY_ALL, {"now": now, "nothing": NOTHING})
            self._database.ask(DESTROY_ROOTS, {"nothing": b"", "now": now, "below": EVERY_VERSION})

    def _newest(self) -> int:
        newest: int = self._database.ask("SELECT coalesce(max(version), 0) FROM faceline_roots")[0][0]
        return newest

    def _current(self) -> int | None:
        living = "SELECT version FROM faceline_roots WHERE destroyed IS NULL AND version = :newest"
        found = self._database.ask(living, {"newest": self._newest()})
        return found[0][0] if found else None


def living(roots: Sequence[RootRow]) -> RootRow | None:
    """The root key under which new keys go; None before the first. ServiceRefused once the last was destroyed."""
    if roots and roots[-1].destroyed is not None:
        raise ServiceRefused(
            "the root key of the key store was destroyed: nothing it sealed can be read; begin anew with faceline purge"
        )
    return roots[-1] if roots else None
