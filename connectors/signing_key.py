"""The private key that receipts are signed with: Ed25519 (RFC 8032), in a file that its owner alone can read."""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from connectors import ServiceRefused, secret_file

WHAT = "signing key"


class SigningKey:
    """The key in `path`: PKCS #8 in PEM, without a password, mode 0400."""

    def __init__(self, path: Path) -> None:
        """ServiceRefused when the file is absent, too open, or no Ed25519 key."""
        lost = (
            f"the signing key {path} is missing: restore it, or copy the one that signed before: receipts by another"
            " key need another public key"
        )
        pem = secret_file.kept(path, WHAT, lost)
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PrivateKey):
            raise ServiceRefused(
                f"the signing key {path} is no Ed25519 private key in PEM without a password: restore it, or make one"
                f" with: openssl genpkey -algorithm ed25519 -out {path}"
            )
        self._key = key

    @classmethod
    def made(cls, path: Path) -> SigningKey:
        """The key in `path`, drawn the first time; of several processes at once, one draws it for all."""
        if not path.exists():
            fresh = Ed25519PrivateKey.generate()
            secret_file.drawn(path, fresh.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), WHAT)
        return cls(path)

    def sign(self, message: bytes) -> bytes:
        """The signature of a message, 64 bytes. Thread-safe."""
        return self._key.sign(message)

    @property
    def public(self) -> Ed25519PublicKey:
        """What fits every signature, and is no secret."""
        return self._key.public_key()

    def public_pem(self) -> str:
        """SubjectPublicKeyInfo in PEM, as OpenSSL writes it."""
        return self.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
