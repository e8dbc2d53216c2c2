"""Wrapped keys as rows of one SQLite file, with the settings under which a destroyed key leaves no bytes in it.

Nothing here can unwrap: a fleet puts the same rows on a database server. In WAL mode old key bytes would stay in the
log beside the file, so it is journal_mode=DELETE, with secure_delete for what a row leaves free.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from connectors import ServiceRefused, ServiceUnavailable
from connectors.root_key import WRAPPED_BYTES, sync_folder

BUSY_SECONDS = 10.0
SETTINGS = ("secure_delete=ON", "journal_mode=DELETE", "synchronous=EXTRA")
SCHEMA = (
    f"""CREATE TABLE IF NOT EXISTS keys (
        kid TEXT PRIMARY KEY,
        owner_kind TEXT NOT NULL,
        name TEXT UNIQUE,
        expires REAL,
        destroyed REAL,
        wrapped BLOB NOT NULL CHECK (length(wrapped) = {WRAPPED_BYTES})
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS expiring ON keys (expires) WHERE expires IS NOT NULL",
    "CREATE TABLE IF NOT EXISTS root (one INTEGER PRIMARY KEY CHECK (one = 1), proof BLOB NOT NULL)",
)
NOTHING = bytes(WRAPPED_BYTES)
OVERWRITE = "wrapped = :nothing, destroyed = coalesce(destroyed, :now)"
DESTROY_ALL = f"UPDATE keys SET {OVERWRITE}"  # noqa: S608
DESTROY_EXPIRED = f"{DESTROY_ALL} WHERE expires <= :now AND destroyed IS NULL RETURNING kid"
DESTROY = f"""INSERT INTO keys (kid, owner_kind, destroyed, wrapped) VALUES (:kid, 'unknown', :now, :nothing)
    ON CONFLICT (kid) DO UPDATE SET {OVERWRITE}"""  # noqa: S608


class KeyRow(NamedTuple):
    """One key; times in seconds since 1970, `destroyed` None while it lives."""

    kid: str
    owner_kind: str
    name: str | None
    expires: float | None
    destroyed: float | None
    wrapped: bytes


class KeyCount(NamedTuple):
    """How many keys can still open something, and how many ids are kept as destroyed."""

    alive: int
    destroyed: int


class KeyRows:
    """The rows, shared by the threads of this process and by other processes; every change is durable on return.

    ServiceUnavailable: the disk is full, or another process holds the file for 10 s. ServiceRefused: it is no such
    file.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, made first (mode 0600) where there is none."""
        self._path = path
        self._threads = threading.RLock()
        with self._explained():
            # Made here, because SQLite would make it for everybody to read.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._database = sqlite3.connect(path, BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            with self._asked() as database:
                for setting in SETTINGS:
                    database.execute(f"PRAGMA {setting}").fetchone()
            with self._changed() as database:
                for statement in SCHEMA:
                    database.execute(statement)
        except BaseException:
            self._database.close()
            raise

    def prove(self, proof: bytes) -> bytes:
        """The proof that the first opener left; ours, if we are the first."""
        with self._changed() as database:
            database.execute("INSERT OR IGNORE INTO root VALUES (1, ?)", (proof,))
            return bytes(database.execute("SELECT proof FROM root").fetchone()[0])

    def add(self, row: KeyRow) -> None:
        """Keep a new key."""
        with self._changed() as database:
            database.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?)", row)

    def get_or_add(self, row: KeyRow) -> KeyRow:
        """The row of this name, which is the given one only if there was none in any process."""
        with self._changed() as database:
            found = database.execute("SELECT * FROM keys WHERE name = ?", (row.name,)).fetchone()
            if found is None:
                database.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?)", row)
        return row if found is None else KeyRow(*found)

    def wrapped(self, kid: str) -> bytes | None:
        """The wrapped key (60 bytes); None when it was destroyed or is unknown."""
        with self._asked() as database:
            query = "SELECT wrapped FROM keys WHERE kid = ? AND destroyed IS NULL"
            row = database.execute(query, (kid,)).fetchone()
        return None if row is None else bytes(row[0])

    def count(self) -> KeyCount:
        """The rows, counted."""
        with self._asked() as database:
            row = database.execute("SELECT count(*) - count(destroyed), count(destroyed) FROM keys").fetchone()
        return KeyCount(*row)

    def destroy(self, kids: Iterable[str], now: float) -> None:
        """Overwrite these keys, all or none; an id without a row gets a destroyed one."""
        with self._changed() as database:
            database.executemany(DESTROY, [{"kid": kid, "now": now, "nothing": NOTHING} for kid in kids])

    def destroy_expired(self, now: float, remembered: float) -> set[str]:
        """Overwrite what expired by `now`; its ids. Rows that expired and died `remembered` seconds ago are removed."""
        with self._changed() as database:
            doomed = database.execute(DESTROY_EXPIRED, {"now": now, "nothing": NOTHING}).fetchall()
            past = {"past": now - remembered}
            database.execute("DELETE FROM keys WHERE expires <= :past AND destroyed <= :past", past)
        return {kid for (kid,) in doomed}

    def destroy_all(self, now: float) -> None:
        """Overwrite every key."""
        with self._changed() as database:
            database.execute(DESTROY_ALL, {"now": now, "nothing": NOTHING})

    def remove(self) -> None:
        """Close and remove the file."""
        self.close()
        for leftover in (self._path, self._path.with_name(f"{self._path.name}-journal")):
            leftover.unlink(missing_ok=True)
        sync_folder(self._path.parent)

    def close(self) -> None:
        """Let go of the file."""
        with self._threads:
            self._database.close()

    @contextmanager
    def _asked(self) -> Iterator[sqlite3.Connection]:
        with self._threads, self._explained():
            yield self._database

    @contextmanager
    def _changed(self) -> Iterator[sqlite3.Connection]:
        with self._asked() as database:
            # IMMEDIATE takes the write lock first: two processes that both found no row would both insert one.
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ServiceRefused(f"cannot open the key store {self._path}: {error.strerror}") from None
        except sqlite3.Error as error:
            # The low byte is the primary code (sqlite.org/rescode.html); errors of the Python module have none.
            match getattr(error, "sqlite_errorcode", 0) & 0xFF:
                case sqlite3.SQLITE_FULL:
                    reason = f"the disk of the key store {self._path} is full: free some space"
                    raise ServiceUnavailable(reason) from None
                case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                    reason = f"the key store {self._path} was held by another process for {BUSY_SECONDS:.0f} s"
                    raise ServiceUnavailable(reason) from None
                case _:
                    raise ServiceRefused(f"the key store {self._path} cannot be used: {error}") from None
