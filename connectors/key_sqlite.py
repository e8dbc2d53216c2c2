"""The key store's rows in one SQLite file, with the settings under which a destroyed key leaves no bytes in it.

In WAL mode old key bytes would stay in the log beside the file, so it is journal_mode=DELETE, with secure_delete for
what a row leaves free.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from connectors import ServiceRefused, ServiceUnavailable
from connectors.key_rows import SCHEMA
from connectors.secret_file import sync_folder

BUSY_SECONDS = 10.0
SETTINGS = ("secure_delete=ON", "journal_mode=DELETE", "synchronous=EXTRA")


class SqliteKeys:
    """A `KeyDatabase` in a file of mode 0600.

    ServiceUnavailable: the disk is full, or another process holds the file for 10 s. ServiceRefused: it is no such
    file.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, made first where there is none."""
        self._path = path
        self.name = f"file, {path}"
        self._threads = threading.RLock()
        with self._explained():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Made here, because SQLite would make it for everybody to read.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._database = sqlite3.connect(path, BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            for setting in SETTINGS:
                self.ask(f"PRAGMA {setting}")
            with self.changing():
                for statement in SCHEMA:
                    self.ask(statement.format(blob="BLOB", real="REAL"))
        except BaseException:
            self._database.close()
            raise

    def ask(self, statement: str, values: Mapping[str, Any] | None = None) -> Sequence[tuple[Any, ...]]:
        with self._threads, self._explained():
            return self._database.execute(statement, values or {}).fetchall()

    def ask_many(self, statement: str, values: Sequence[Mapping[str, Any]]) -> None:
        with self._threads, self._explained():
            self._database.executemany(statement, values)

    @contextmanager
    def changing(self) -> Iterator[None]:
        with self._threads, self._explained():
            # IMMEDIATE takes the write lock first: two processes that both found no row would both insert one.
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    @contextmanager
    def alone(self, purpose: str) -> Iterator[None]:
        # Not in the database: a transaction would keep everybody else waiting.
        lock = FileLock(self._path.with_name(f"{purpose}.lock"), mode=0o600, thread_local=False)
        with self._explained():
            try:
                lock.acquire(timeout=0)
            except Timeout:
                raise ServiceRefused(f"another process is at work ({purpose}): let that one end") from None
        try:
            yield
        finally:
            lock.release()

    def remove(self) -> None:
        self.close()
        for leftover in (self._path, self._path.with_name(f"{self._path.name}-journal")):
            leftover.unlink(missing_ok=True)
        for lock in self._path.parent.glob("*.lock"):
            lock.unlink(missing_ok=True)
        sync_folder(self._path.parent)

    def close(self) -> None:
        with self._threads:
            self._database.close()

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
