"""The files that everything sealed hangs from: one per version, read-only for its owner, checked before every use."""

from __future__ import annotations

import os
import re
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from connectors import ServiceRefused
from connectors.key_provider import Erasure

KEY_BYTES = 32  # AES-256
NONCE_BYTES = 12  # NIST SP 800-38D, 8.2.2: a random nonce of 96 bits
TAG_BYTES = 16
WRAPPED_BYTES = NONCE_BYTES + KEY_BYTES + TAG_BYTES
OWNER_READS = 0o400


class RootKeyFiles:
    """`root-<version>.key` in one folder, 32 random bytes each, mode 0400. Wraps with AES-256-GCM.

    Overwriting a file proves nothing on flash or in a backup; a key in a vault does better.
    """

    erasure = Erasure.BEST_EFFORT

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.name = f"file, {folder}"

    def prepare(self) -> int:
        """The newest version; of several processes at once, one draws the first for all."""
        found = self.versions()
        if found:
            return found[-1]
        self._draw(1)
        return 1

    def versions(self) -> list[int]:
        """The versions whose files are there."""
        try:
            names = [path.name for path in self._folder.iterdir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ServiceRefused(f"cannot read the root keys in {self._folder}: {error.strerror}") from None
        return sorted(int(found[1]) for name in names if (found := re.fullmatch(r"root-(\d{1,9})\.key", name)))

    def rotate(self) -> int:
        """Draw the next version."""
        version = max(self.versions(), default=0) + 1
        while not self._draw(version):
            version += 1
        return version

    def wrap(self, version: int, key: bytes) -> bytes:
        """Nonce, ciphertext and tag, 60 bytes."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher(version).encrypt(nonce, key, _place(version))

    def unwrap(self, version: int, wrapped: bytes) -> bytes:
        """The root key (32 bytes). ServiceRefused when the file is absent, too open, short or another one."""
        cipher = self._cipher(version)
        try:
            return cipher.decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], _place(version))
        except (InvalidTag, ValueError):
            raise ServiceRefused(
                f"the root key {self._path(version)} does not open the key store: restore the one it was made with"
            ) from None

    def destroy_version(self, version: int) -> None:
        """Overwrite and remove that file and the older ones."""
        for each in self.versions():
            if each <= version:
                self._shred(self._path(each))

    def destroy(self) -> None:
        """Overwrite and remove every file."""
        for each in self.versions():
            self._shred(self._path(each))

    def _path(self, version: int) -> Path:
        return self._folder / f"root-{version}.key"

    def _cipher(self, version: int) -> AESGCM:
        path = self._path(version)
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            key = path.read_bytes()
        except FileNotFoundError:
            raise ServiceRefused(
                f"the key store has lost its root key: restore {path}, or remove the store and all it sealed"
            ) from None
        except OSError as error:
            raise ServiceRefused(f"cannot read the root key {path}: {error.strerror}") from None
        if mode != OWNER_READS:
            raise ServiceRefused(f"the root key {path} has mode {mode:04o}, wanted 0400: run chmod 400 {path}")
        if len(key) != KEY_BYTES:
            raise ServiceRefused(f"the root key {path} has {len(key)} bytes, wanted {KEY_BYTES}: restore it")
        return AESGCM(key)

    def _draw(self, version: int) -> bool:
        path = self._path(version)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(draft, secrets.token_bytes(KEY_BYTES))
            # A link appears whole or not at all and never replaces: the loser of a race uses the winner's key.
            os.link(draft, path)
        except FileExistsError:
            return False
        except OSError as error:
            raise ServiceRefused(f"cannot make the root key {path}: {error.strerror}") from None
        finally:
            draft.unlink(missing_ok=True)
            with suppress(OSError):
                sync_folder(path.parent)
        return True

    @staticmethod
    def _shred(path: Path) -> None:
        with suppress(FileNotFoundError):
            path.chmod(0o600)
            with path.open("r+b", buffering=0) as file:
                file.write(bytes(KEY_BYTES))
                os.fsync(file.fileno())
            path.unlink()
            sync_folder(path.parent)


def _place(version: int) -> bytes:
    return f"faceline root key {version}".encode()


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
