"""The key store of the settings: rows in a file or on a server, root keys in files, in Vault or in AWS KMS."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from connectors import ServiceRefused, root_keys
from connectors.key_rows import KeyRows, living
from connectors.key_sqlite import SqliteKeys
from connectors.keystore import KeyStore
from connectors.root_key import RootKeyFiles
from pipeline.home import Home
from pipeline.settings import Settings
from pipeline.settings.keys import FILE

if TYPE_CHECKING:
    from connectors.key_provider import KeyProvider

STORE = "keys.sqlite"


def key_store(settings: Settings, home: Home) -> KeyStore:
    """The deployment's key store, made the first time. ServiceRefused where its root key does not fit."""
    return KeyStore(key_rows(settings, home), key_provider(settings, home), now=settings.now)


def key_rows(settings: Settings, home: Home) -> KeyRows:
    """The wrapped keys alone, without what unwraps them."""
    given = settings.keys
    if given.store == FILE:
        return KeyRows(SqliteKeys(home.keys / STORE))
    with _extra("a postgresql:// store"):
        from connectors.key_postgres import PostgresKeys
    return KeyRows(PostgresKeys(given.store, given.password()))


def key_provider(settings: Settings, home: Home) -> KeyProvider:
    """What wraps the root keys; it is asked nothing yet."""
    given = settings.keys
    match given.provider:
        case "file":
            return RootKeyFiles(home.keys)
        case "vault":
            with _extra("provider vault"):
                from connectors.vault_keys import VaultKeys
            return VaultKeys(
                given.vault_address or "",
                given.vault_token(),
                given.vault_key,
                mount=given.vault_mount,
                ca_file=None if given.vault_ca_file is None else str(given.vault_ca_file),
            )
        case "aws":
            with _extra("provider aws"):
                from connectors.aws_keys import AwsKeys
            return AwsKeys(given.aws_region or "", given.aws_alias, endpoint=given.aws_endpoint)


def examined(settings: Settings, home: Home) -> str:
    """What is there, once its root key has been seen to open; makes no root key, not even the first."""
    provider = key_provider(settings, home)
    with closing(key_rows(settings, home)) as rows:
        row = living(rows.roots())
        if row is None:
            provider.versions()
            return f"{rows.name}; root key by {provider.name}; both are filled by the first start"
        root_keys.opened(provider, row)
        return f"{rows.name}, {rows.count().alive} keys; root key by {provider.name}, version {row.version}"


def erase(settings: Settings, home: Home) -> None:
    """Destroy every key, the root keys and the store; needs nothing to open."""
    rows = key_rows(settings, home)
    root_keys.destroy(rows, key_provider(settings, home), settings.now().timestamp())
    rows.remove()


@contextmanager
def _extra(what: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise ServiceRefused(f"{what} needs {error.name}: install it with pip install 'faceline[fleet]'") from None
