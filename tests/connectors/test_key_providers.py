"""What every provider of root keys promises: files, a real OpenBao (as Vault), and AWS KMS by its stand-in."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import hvac  # type: ignore[import-untyped]
import pytest

from connectors import ServiceRefused, ServiceUnavailable
from connectors.aws_keys import AwsKeys
from connectors.key_provider import Erasure, KeyProvider
from connectors.key_rows import KeyRows
from connectors.key_sqlite import SqliteKeys
from connectors.keystore import KeyStore
from connectors.root_key import RootKeyFiles
from connectors.root_keys import destroy, opened, rotate
from connectors.vault_keys import VaultKeys
from tests.connectors.openbao import OpenBaoServer
from tests.connectors.stand_ins import KmsStandIn, served

KEY = bytes(range(32))


def fresh_name() -> str:
    """The name of a key that no other test uses."""
    return f"k{secrets.token_hex(6)}"


@pytest.fixture
def kms_stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[str, KmsStandIn]]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "absent"))
    kms = KmsStandIn()
    with served(kms.ask) as url:
        yield url, kms


@pytest.fixture(params=["file", "openbao", "kms_stand_in"])
def provider(request: pytest.FixtureRequest, tmp_path: Path) -> KeyProvider:
    match request.param:
        case "file":
            return RootKeyFiles(tmp_path / "roots")
        case "openbao":
            server: OpenBaoServer = request.getfixturevalue("openbao")
            return VaultKeys(server.address, server.token, fresh_name())
        case _:
            url, _ = request.getfixturevalue("kms_stand_in")
            return AwsKeys("eu-central-1", "faceline", endpoint=url)


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[KeyRows]:
    rows = KeyRows(SqliteKeys(tmp_path / "keys" / "keys.sqlite"))
    yield rows
    rows.close()


def test_the_first_version_is_made_once(provider: KeyProvider) -> None:
    assert provider.versions() == []
    assert [provider.prepare(), provider.prepare()] == [1, 1]
    assert provider.versions() == [1]


def test_every_version_opens_what_it_wrapped_until_it_is_destroyed(provider: KeyProvider) -> None:
    wrapped = {provider.prepare(): provider.wrap(1, KEY)}
    for expected in (2, 3):
        version = provider.rotate()
        assert version == expected
        wrapped[version] = provider.wrap(version, KEY)
    assert all(provider.unwrap(version, each) == KEY for version, each in wrapped.items())
    assert all(KEY not in each for each in wrapped.values())
    for _ in range(2):
        provider.destroy_version(2)
    assert provider.versions() == [3]
    for gone in (1, 2):
        with pytest.raises(ServiceRefused):
            provider.unwrap(gone, wrapped[gone])
    assert provider.unwrap(3, wrapped[3]) == KEY
    with pytest.raises(ServiceRefused):
        provider.unwrap(3, wrapped[2])
    assert provider.rotate() == 4


def test_one_rotation_follows_another(provider: KeyProvider) -> None:
    provider.prepare()
    for version in (2, 3, 4):
        assert provider.rotate() == version
        wrapped = provider.wrap(version, KEY)
        provider.destroy_version(version - 1)
        assert provider.versions() == [version]
        assert provider.unwrap(version, wrapped) == KEY


def test_once_all_is_destroyed_nothing_opens(provider: KeyProvider) -> None:
    wrapped = provider.wrap(provider.prepare(), KEY)
    for _ in range(2):
        provider.destroy()
    assert provider.versions() == []
    with pytest.raises(ServiceRefused):
        provider.unwrap(1, wrapped)


def test_a_store_rotates_and_is_destroyed(provider: KeyProvider, rows: KeyRows, tmp_path: Path) -> None:
    store = KeyStore(rows, provider)
    kid = store.new("person")
    value = store.seal(kid, b"Anna", b"")
    saved = rows.roots()[0]
    assert opened(provider, saved).version == 1
    assert rotate(rows, provider, 1.0) == (2, 1, [1])
    with pytest.raises(ServiceRefused):
        opened(provider, saved)
    again = KeyStore(KeyRows(SqliteKeys(tmp_path / "keys" / "keys.sqlite")), provider)
    assert again.open(kid, *value, b"") == b"Anna"
    destroy(rows, provider, 2.0)
    assert not again.alive(kid)
    again.close()
    with pytest.raises(ServiceRefused, match="was destroyed"):
        KeyStore(KeyRows(SqliteKeys(tmp_path / "keys" / "keys.sqlite")), provider)


def test_an_erasure_class_is_no_promise_too_many(provider: KeyProvider) -> None:
    assert {"file": Erasure.BEST_EFFORT, "vault": Erasure.BOUNDED, "aws": Erasure.DELAYED}[
        provider.name.partition(",")[0]
    ] is provider.erasure


def test_a_token_that_may_not_is_told_with_the_cure(openbao: OpenBaoServer) -> None:
    name = fresh_name()
    with pytest.raises(ServiceRefused, match="renew the token, or widen its policy"):
        VaultKeys(openbao.address, None, name).prepare()
    openbao_keys = VaultKeys(openbao.address, openbao.token, name)
    openbao_keys.prepare()
    assert openbao.token not in openbao_keys.name
    stage = VaultKeys(
        openbao.address,
        openbao.limited_token(f"transit/keys/{name}", f"transit/encrypt/{name}", f"transit/decrypt/{name}"),
        name,
    )
    assert stage.prepare() == 1
    assert stage.unwrap(1, stage.wrap(1, KEY)) == KEY
    with pytest.raises(ServiceRefused, match="renew the token, or widen its policy"):
        stage.rotate()
    operator = VaultKeys(
        openbao.address,
        openbao.limited_token(f"transit/keys/{name}", f"transit/keys/{name}/*", f"transit/encrypt/{name}"),
        name,
    )
    assert operator.rotate() == 2
    operator.destroy_version(1)
    operator.destroy()


def test_what_was_trimmed_is_gone_at_the_server(openbao: OpenBaoServer) -> None:
    name = fresh_name()
    keys = VaultKeys(openbao.address, openbao.token, name)
    wrapped = keys.wrap(keys.prepare(), KEY)
    keys.rotate()
    keys.destroy_version(1)
    shown = openbao.client.secrets.transit.read_key(name)["data"]
    assert list(shown["keys"]) == ["2"]
    assert shown["min_available_version"] == 2
    # Not even who may do everything gets it back.
    with pytest.raises(hvac.exceptions.InvalidRequest):
        openbao.client.secrets.transit.update_key_configuration(name, min_decryption_version=1)
    with pytest.raises(ServiceRefused, match=r"version 1 of .* was destroyed, and with it all that it sealed"):
        keys.unwrap(1, wrapped)


def test_a_mount_that_is_not_there_is_named(openbao: OpenBaoServer) -> None:
    with pytest.raises(ServiceRefused, match=r"correct \[keys\] vault_mount and vault_key"):
        VaultKeys(openbao.address, openbao.token, "faceline", mount="elsewhere").prepare()


def test_a_vault_that_is_sealed_is_unavailable(tmp_path: Path) -> None:
    server = OpenBaoServer(tmp_path)
    server.start()
    try:
        keys = VaultKeys(server.address, server.token, "faceline")
        keys.prepare()
        server.client.sys.seal()
        with pytest.raises(ServiceUnavailable, match="does not answer: is Vault up, unsealed and reachable"):
            keys.prepare()
    finally:
        server.stop()


def test_vault_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(ServiceUnavailable, match="does not answer"):
        VaultKeys("http://127.0.0.1:1", "token", "faceline").versions()


def test_kms_stand_in_that_denies_is_told_with_the_cure(kms_stand_in: tuple[str, KmsStandIn]) -> None:
    url, kms = kms_stand_in
    keys = AwsKeys("eu-central-1", "faceline", endpoint=url)
    keys.prepare()
    kms.denied = True
    with pytest.raises(ServiceRefused, match=r"refuses \(AccessDeniedException\): correct \[keys\]"):
        keys.versions()


def test_kms_stand_in_keeps_one_key_of_a_version_that_two_make(kms_stand_in: tuple[str, KmsStandIn]) -> None:
    url, kms = kms_stand_in
    keys = AwsKeys("eu-central-1", "faceline", endpoint=url)
    keys.prepare()
    assert keys._made(1) == 1
    assert len(kms.keys) == 2
    assert len(kms.pending) == 1
    assert keys.unwrap(1, keys.wrap(1, KEY)) == KEY


def test_aws_without_credentials_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "absent"))
    with pytest.raises(ServiceRefused, match="no credentials found"):
        AwsKeys("eu-central-1", "faceline", endpoint="http://127.0.0.1:1").versions()
