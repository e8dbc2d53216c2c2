"""The files that everything sealed hangs from: one per version, read-only for its owner, checked before every use."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from connectors import ServiceRefused, secret_file
from connectors.key_provider import Erasure

KEY_BYTES = 32  # AES-256
NONCE_BYTES = 12  # NIST SP 800-38D, 8.2.2: a random nonce of 96 bits
TAG_BYTES = 16
WRAPPED_BYTES = NONCE_BYTES + KEY_BYTES + TAG_BYTES
WHAT = "root key"


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
                secret_file.shred(self._path(each))

    def destroy(self) -> None:
        """Overwrite and remove every file."""
        for each in self.versions():
            secret_file.shred(self._path(each))

    def _path(self, version: int) -> Path:
        return self._folder / f"root-{version}.key"

    def _cipher(self, version: int) -> AESGCM:
        path = self._path(version)
        lost = f"the key store has lost its root key: restore {path}, or remove the store and all it sealed"
        key = secret_file.kept(path, WHAT, lost)
        if len(key) != KEY_BYTES:
            raise ServiceRefused(f"the root key {path} has {len(key)} bytes, wanted {KEY_BYTES}: restore it")
        return AESGCM(key)

    def _draw(self, version: int) -> bool:
        return secret_file.drawn(self._path(version), secrets.token_bytes(KEY_BYTES), WHAT)


def _place(version: int) -> bytes:
    return f"faceline root key {version}".encode()
