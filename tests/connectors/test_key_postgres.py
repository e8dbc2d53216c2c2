"""Promises of the key store's rows on a server: they outlive a lost connection, and mistakes are told with the cure."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from connectors import ServiceRefused, ServiceUnavailable, key_postgres
from connectors.key_postgres import PostgresKeys
from connectors.key_rows import KeyRows
from tests.connectors.key_places import PostgresServer


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server that a test may stop."""
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


def test_a_destruction_is_there_after_the_server_died(server: PostgresServer) -> None:
    rows = KeyRows(PostgresKeys(server.schema()))
    rows.destroy(["0" * 32], 1.0)
    server.stop()
    with pytest.raises(ServiceUnavailable, match="does not answer: is the server up"):
        rows.count()
    with pytest.raises(ServiceUnavailable):
        rows.destroy(["1" * 32], 1.0)
    server.resume()
    assert rows.count() == (0, 1), "by a new connection"
    rows.destroy(["1" * 32], 1.0)
    assert rows.count() == (0, 2)
    rows.close()


def test_what_is_acknowledged_is_on_the_disk(postgres: PostgresServer) -> None:
    database = PostgresKeys(postgres.schema())
    assert database.ask("SHOW synchronous_commit") == [("on",)]
    database.close()


def test_a_held_store_is_told(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = postgres.schema()
    monkeypatch.setattr(key_postgres, "SESSION", "SET lock_timeout = '100ms'")
    database = PostgresKeys(uri)
    with psycopg.connect(uri) as other:
        other.execute(key_postgres.ONE_AT_A_TIME)
        with pytest.raises(ServiceUnavailable, match="was held by another process"):
            KeyRows(database).destroy([], 1.0)
    KeyRows(database).destroy([], 1.0)
    database.close()


def test_a_password_opens_and_stays_out_of_every_message(server: PostgresServer) -> None:
    server.demand("hunter2")
    database = PostgresKeys(server.uri, "hunter2")
    assert "hunter2" not in database.name
    database.close()
    for wrong in ("hunter3", None):
        with pytest.raises(ServiceRefused, match="does not let us in") as told:
            PostgresKeys(server.uri, wrong)
        assert "hunter" not in str(told.value)


def test_a_database_that_is_not_there_is_refused(postgres: PostgresServer) -> None:
    with pytest.raises(ServiceRefused, match=r"does not let us in: correct user, database and password"):
        PostgresKeys(postgres.uri.replace("/postgres", "/elsewhere"))


def test_rights_that_are_missing_are_refused(postgres: PostgresServer) -> None:
    uri = postgres.schema()
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute("CREATE ROLE reader LOGIN")
    with pytest.raises(ServiceRefused, match="cannot be used: "):
        PostgresKeys(uri.replace("faceline@", "reader@"))


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(ServiceUnavailable, match=r"postgresql, 127.0.0.1:1/keys does not answer"):
        PostgresKeys("postgresql://faceline@127.0.0.1:1/keys")


def test_two_deployments_in_two_schemas_do_not_meet(postgres: PostgresServer) -> None:
    first, second = (KeyRows(PostgresKeys(postgres.schema())) for _ in range(2))
    first.destroy(["0" * 32], 1.0)
    assert second.count() == (0, 0)
    first.remove()
    assert second.count() == (0, 0)
    second.close()
