"""The key store's rows on a PostgreSQL server, for the machines of a fleet.

An overwritten row leaves its old version in the table until VACUUM, and in the write-ahead log, replicas and backups
for longer: they hold wrapped keys, which a rotation of the root key makes worthless.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import errors

from connectors import ServiceRefused, ServiceUnavailable
from connectors.key_rows import SCHEMA, TABLES

WAIT_SECONDS = 10
# One change at a time in the whole fleet, as in a file: two processes that both found no row would both insert one.
ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended('faceline keys ' || current_schema(), 0))"
# Of a session, so that it ends with its connection, however its process ends.
ONE_FOR = "SELECT pg_try_advisory_lock(hashtextextended('faceline ' || %(purpose)s || current_schema(), 1))"
# `on` waits for the disk, and for the standby servers that the operator made synchronous.
SESSION = f"SET synchronous_commit = on; SET lock_timeout = '{WAIT_SECONDS}s'; SET statement_timeout = '60s'"
OPTIONS = {
    "connect_timeout": WAIT_SECONDS,
    "application_name": "faceline",
    # A peer that vanished without a word is noticed.
    "keepalives_idle": WAIT_SECONDS,
    "tcp_user_timeout": WAIT_SECONDS * 1000,
}


class PostgresKeys:
    """A `KeyDatabase` on a server, connected again whenever the connection is lost.

    ServiceUnavailable: it does not answer, or holds a lock for 10 s. ServiceRefused: it does not let us in.
    """

    def __init__(self, uri: str, password: str | None = None) -> None:
        """`uri` as libpq takes it, postgresql://user@host:port/database?sslmode=verify-full, without the password."""
        place = urlsplit(uri)
        self.name = f"postgresql, {place.hostname or 'local'}:{place.port or 5432}{place.path}"
        self._uri = uri
        self._password = password
        self._threads = threading.RLock()
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None
        try:
            with self.changing():
                for statement in SCHEMA:
                    self.ask(statement.format(blob="BYTEA", real="DOUBLE PRECISION"))
        except BaseException:
            self.close()
            raise

    def ask(self, statement: str, values: Mapping[str, Any] | None = None) -> Sequence[tuple[Any, ...]]:
        with self._connected() as connection:
            cursor = connection.execute(_spelled(statement), values)
            return cursor.fetchall() if cursor.description is not None else []

    def ask_many(self, statement: str, values: Sequence[Mapping[str, Any]]) -> None:
        with self._connected() as connection, connection.cursor() as cursor:
            cursor.executemany(_spelled(statement), values)

    @contextmanager
    def changing(self) -> Iterator[None]:
        with self._connected() as connection, connection.transaction():
            connection.execute(ONE_AT_A_TIME)
            yield

    @contextmanager
    def alone(self, purpose: str) -> Iterator[None]:
        with self._connected():
            holding = self._another()
        with holding:
            found = holding.execute(ONE_FOR, {"purpose": purpose}).fetchone()
            if found is None or not found[0]:
                raise ServiceRefused(f"another process is at work ({purpose}): let that one end")
            yield

    def remove(self) -> None:
        with self.changing():
            for table in TABLES:
                self.ask(f"DROP TABLE IF EXISTS {table}")
        self.close()

    def close(self) -> None:
        with self._threads:
            connection, self._connection = self._connection, None
            if connection is not None:
                with suppress(psycopg.Error):
                    connection.close()

    def _another(self) -> psycopg.Connection[tuple[Any, ...]]:
        connection: psycopg.Connection[tuple[Any, ...]] = psycopg.connect(
            self._uri,
            password=self._password,
            autocommit=True,
            **OPTIONS,  # type: ignore[arg-type]
        )
        connection.execute(SESSION)
        return connection

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        with self._threads:
            try:
                if self._connection is None:
                    self._connection = self._another()
                yield self._connection
            except (errors.LockNotAvailable, errors.QueryCanceled):
                reason = f"the key store {self.name} was held by another process for {WAIT_SECONDS} s"
                raise ServiceUnavailable(reason) from None
            except (errors.DiskFull, errors.OutOfMemory):
                raise ServiceUnavailable(f"the server of the key store {self.name} is full: free some space") from None
            except psycopg.OperationalError as error:
                self.close()
                raise self._away(error) from None
            except psycopg.Error as error:
                reason = type(error).__name__ if error.sqlstate is None else f"{type(error).__name__}, {error.sqlstate}"
                raise ServiceRefused(f"the key store {self.name} cannot be used: {reason}") from None

    def _away(self, error: psycopg.OperationalError) -> Exception:
        # While connecting, libpq gives no SQLSTATE, only its words; a wrong password is a person's to correct.
        said = " ".join(str(error).split())
        if re.search(r"authentication failed|no password supplied|no pg_hba.conf|does not exist", said):
            return ServiceRefused(
                f"the key store {self.name} does not let us in: correct user, database and password in [keys]"
            )
        return ServiceUnavailable(
            f"the key store {self.name} does not answer: is the server up, and reachable from here?"
        )


def _spelled(statement: str) -> bytes:
    return re.sub(r":(\w+)", r"%(\1)s", statement).encode()
