"""The one file that everything sealed hangs from: read-only for its owner, made once, and checked before every use."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from connectors import ServiceRefused

KEY_BYTES = 32  # AES-256
NONCE_BYTES = 12  # NIST SP 800-38D, 8.2.2: a random nonce of 96 bits
TAG_BYTES = 16
WRAPPED_BYTES = NONCE_BYTES + KEY_BYTES + TAG_BYTES
OWNER_READS = 0o400


class RootKeyFile:
    """Wraps data keys with AES-256-GCM under the 32 bytes of one file. Erasure class: best effort.

    Overwriting a file proves nothing on flash or in a backup; a key in a vault or an HSM does better.
    """

    def __init__(self, path: Path) -> None:
        """Read the key. ServiceRefused when the file is absent, too open, or not 32 bytes."""
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            key = path.read_bytes()
        except OSError as error:
            raise ServiceRefused(f"cannot read the root key {path}: {error.strerror}") from None
        if mode != OWNER_READS:
            raise ServiceRefused(f"the root key {path} has mode {mode:04o}, wanted 0400: run chmod 400 {path}")
        if len(key) != KEY_BYTES:
            raise ServiceRefused(f"the root key {path} has {len(key)} bytes, wanted {KEY_BYTES}: restore it")
        self._path = path
        self._cipher = AESGCM(key)

    @classmethod
    def create(cls, path: Path) -> RootKeyFile:
        """Read the key, drawn first when there is no file; of several processes at once, one draws it for all."""
        if not path.exists():
            draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
            try:
                _write(draft, secrets.token_bytes(KEY_BYTES))
                # A link appears whole or not at all and never replaces: the loser of a race reads the winner's key.
                with suppress(FileExistsError):
                    os.link(draft, path)
            except OSError as error:
                raise ServiceRefused(f"cannot make the root key {path}: {error.strerror}") from None
            finally:
                draft.unlink(missing_ok=True)
                sync_folder(path.parent)
        return cls(path)

    def wrap(self, key: bytes, associated: bytes) -> bytes:
        """The data key (32 bytes), sealed: nonce, ciphertext and tag, 60 bytes."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, key, associated)

    def unwrap(self, wrapped: bytes, associated: bytes) -> bytes:
        """The data key (32 bytes). ServiceRefused when it was wrapped by another root key or for another key id."""
        try:
            return self._cipher.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], associated)
        except (InvalidTag, ValueError):
            raise ServiceRefused(
                f"the root key {self._path} does not open the keys beside it: restore the root key they were made with"
            ) from None

    def destroy(self) -> None:
        """Overwrite and remove the file."""
        with suppress(FileNotFoundError):
            self._path.chmod(0o600)
            with self._path.open("r+b", buffering=0) as file:
                file.write(bytes(KEY_BYTES))
                os.fsync(file.fileno())
            self._path.unlink()
            sync_folder(self._path.parent)


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, OWNER_READS)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, OWNER_READS)
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable: a file's own fsync does not."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
