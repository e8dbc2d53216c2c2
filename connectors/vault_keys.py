"""Root keys in HashiCorp Vault (or OpenBao), wrapped by its transit engine: a version is destroyed by trimming."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import hvac  # type: ignore[import-untyped]
import requests
from hvac import exceptions

from connectors import ServiceRefused, ServiceUnavailable
from connectors.key_provider import Erasure

SECONDS = 10.0
ABSENT = ("encryption key not found", "disallowed by policy (too old)", "no existing key named", "could not delete key")
ASSOCIATED = base64.b64encode(b"faceline root key").decode()


class VaultKeys:
    """The versions of one transit key (aes256-gcm96). Vault's own snapshots keep a trimmed version while they are kept.

    The token's policy needs `<mount>/keys/<key>` with `/rotate`, `/config` and `/trim`, `<mount>/encrypt/<key>` and
    `<mount>/decrypt/<key>`; the stages that never rotate need the last two alone, and read on the first.
    """

    erasure = Erasure.BOUNDED

    def __init__(
        self, address: str, token: str | None, key: str, *, mount: str = "transit", ca_file: str | None = None
    ) -> None:
        """`address` is a URL; `ca_file` the PEM of the authorities to trust."""
        # An empty token keeps hvac from looking for one where nobody here put it.
        self.name = f"vault, {urlsplit(address).netloc}/{mount}/{key}"
        self._key = key
        self._mount = mount
        self._client = hvac.Client(
            url=address, token=token or "", timeout=SECONDS, verify=ca_file or True, allow_redirects=False
        )

    def prepare(self) -> int:
        # Vault leaves a key that is there as it is.
        if not self.versions():
            self._ask("create_key", key_type="aes256-gcm96", exportable=False, allow_plaintext_backup=False)
        return self.versions()[-1]

    def versions(self) -> list[int]:
        try:
            found = self._ask("read_key")["data"]
        except _Absent:
            return []
        oldest = int(found["min_decryption_version"])
        return sorted(version for version in map(int, found["keys"]) if version >= oldest)

    def rotate(self) -> int:
        self.prepare()
        self._ask("rotate_key")
        # Of two who rotate at once, both may see the newer one: the store admits only one root key of a version.
        return self.versions()[-1]

    def wrap(self, version: int, key: bytes) -> bytes:
        answer = self._ask(
            "encrypt_data",
            plaintext=base64.b64encode(key).decode(),
            key_version=version,
            associated_data=ASSOCIATED,
        )
        return str(answer["data"]["ciphertext"]).encode()

    def unwrap(self, version: int, wrapped: bytes) -> bytes:
        text = wrapped.decode("ascii", errors="replace")
        if not text.startswith(f"vault:v{version}:"):
            raise ServiceRefused(f"version {version} of the root key was not wrapped by {self.name}: correct [keys]")
        try:
            answer = self._ask("decrypt_data", ciphertext=text, associated_data=ASSOCIATED)
        except _Absent:
            raise ServiceRefused(
                f"version {version} of the root key {self.name} was destroyed, and with it all that it sealed"
            ) from None
        return base64.b64decode(answer["data"]["plaintext"])

    def destroy_version(self, version: int) -> None:
        keep = version + 1
        found = self._ask("read_key")["data"]
        if int(found.get("min_available_version", 0)) >= keep:
            return
        # Trim reaches as far as both of these; encryption goes first, because Vault lets it be no lower than the other.
        if int(found["min_encryption_version"]) < keep:
            self._ask("update_key_configuration", min_encryption_version=keep)
        if int(found["min_decryption_version"]) < keep:
            self._ask("update_key_configuration", min_decryption_version=keep)
        self._ask("trim_key", min_version=keep)

    def destroy(self) -> None:
        try:
            self._ask("update_key_configuration", deletion_allowed=True)
            self._ask("delete_key")
        except _Absent:
            return

    def _ask(self, operation: str, **arguments: Any) -> Any:
        with self._explained():
            return getattr(self._client.secrets.transit, operation)(
                name=self._key, mount_point=self._mount, **arguments
            )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except exceptions.InvalidPath:
            raise _Absent(f"there is no root key {self.name}: correct [keys] vault_mount and vault_key") from None
        except (exceptions.Unauthorized, exceptions.Forbidden):
            raise ServiceRefused(f"{self.name} does not let us in: renew the token, or widen its policy") from None
        except (exceptions.InvalidRequest, exceptions.ParamValidationError) as error:
            kind = _Absent if any(said in str(error) for said in ABSENT) else ServiceRefused
            raise kind(f"{self.name} refuses: {' '.join(str(error).split())[:200]}") from None
        except (exceptions.VaultError, requests.RequestException):
            raise ServiceUnavailable(f"{self.name} does not answer: is Vault up, unsealed and reachable?") from None


class _Absent(ServiceRefused):
    """Vault knows no such key."""
