"""Promises of the key store that the settings choose: several machines share one, and what is missing is told."""

import secrets
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from connectors import ServiceRefused
from connectors.keystore import KeyDestroyed
from connectors.root_keys import rotate
from pipeline.home import Home
from pipeline.settings import Settings, parse
from pipeline.wiring.keys import erase, examined, key_provider, key_rows, key_store
from tests.connectors.key_places import PostgresServer
from tests.connectors.openbao import OpenBaoServer


@pytest.fixture
def fleet(
    postgres: PostgresServer, openbao: OpenBaoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """Settings with a real PostgreSQL and a real OpenBao."""
    monkeypatch.setenv("FACELINE_VAULT_TOKEN", openbao.token)
    name = f"k{secrets.token_hex(6)}"
    keys = {"store": postgres.schema(), "provider": "vault", "vault_address": openbao.address, "vault_key": name}
    return parse({"keys": keys}, tmp_path)


def test_machines_share_a_store(fleet: Settings, tmp_path: Path) -> None:
    homes = [Home(tmp_path / name) for name in ("one", "two")]
    assert "both are filled by the first start" in examined(fleet, homes[0])
    one, two = (key_store(fleet, home) for home in homes)
    kid = one.new("person")
    value = one.seal(kid, b"Anna", b"")
    assert two.open(kid, *value, b"") == b"Anna"
    rows = key_rows(fleet, homes[1])
    assert rotate(rows, key_provider(fleet, homes[1]), 1.0) == (2, 1, [1])
    due = fleet.now() + timedelta(hours=1)
    assert two.named("window", due) == one.named("window", due)
    assert "2 keys; root key by vault, 127.0.0.1:" in examined(fleet, homes[0])
    one.destroy([kid])
    assert not two.alive(kid)
    erase(fleet, homes[0])
    with pytest.raises((KeyDestroyed, ServiceRefused)):
        one.seal(kid, b"", b"")
    assert "both are filled by the first start" in examined(fleet, homes[0])
    for each in (one, two, rows):
        each.close()
    assert not any(home.keys.exists() for home in homes), "nothing of it is on the machines"


@pytest.mark.parametrize(
    ("keys", "absent", "line"),
    [
        ({"store": "postgresql://h/keys"}, "psycopg", "a postgresql:// store needs psycopg"),
        ({"provider": "vault", "vault_address": "http://h"}, "hvac", "provider vault needs hvac"),
        ({"provider": "aws", "aws_region": "eu-central-1"}, "boto3", "provider aws needs boto3"),
    ],
)
def test_an_extra_that_is_missing_is_named(
    keys: dict[str, str], absent: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("connectors.key_postgres", "connectors.vault_keys", "connectors.aws_keys"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, absent, None)
    with pytest.raises(ServiceRefused, match=rf"^{line}: install it with pip install 'faceline\[fleet\]'$"):
        key_store(parse({"keys": keys}, tmp_path), Home(tmp_path / "home"))


def test_a_file_store_needs_none_of_it(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    store = key_store(Settings(), home)
    assert store.alive(store.new("person"))
    store.close()
    assert "1 keys; root key by file" in examined(Settings(), home)
