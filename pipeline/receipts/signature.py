"""Who signed an entry, and whether the signature fits: Ed25519 (RFC 8032)."""

from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from pipeline.receipts.canonical import canonical, shortened
from pipeline.records import AuditEntry


class Unproven(Exception):
    """Something does not hold; the text is one line that says what."""


class NoPublicKey(Exception):
    """The text is not the PEM of an Ed25519 public key."""


@dataclass(frozen=True, slots=True)
class Signer:
    """All that a stage gets of a private key: 64 bytes for a message, and the public key's fingerprint."""

    sign: Callable[[bytes], bytes]
    fingerprint: str


def public_key(pem: bytes) -> Ed25519PublicKey:
    """The key that `faceline receipt key` prints; NoPublicKey for anything else."""
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise NoPublicKey("no public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise NoPublicKey("a public key, but none of Ed25519")
    return key


def fingerprint(key: Ed25519PublicKey) -> str:
    """SHA-256 of the key's SubjectPublicKeyInfo in DER, the first 32 hexadecimal digits."""
    return shortened(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def verify_entry(entry: AuditEntry, key: Ed25519PublicKey) -> None:
    """Unproven where `key` did not sign exactly this."""
    place = f"entry {entry.sequence} of chain {entry.chain}"
    if entry.signer != fingerprint(key):
        raise Unproven(f"{place} says that key {entry.signer} signed it, and this is key {fingerprint(key)}")
    try:
        key.verify(entry.signature, canonical(entry))
    except InvalidSignature:
        raise Unproven(f"{place} is not what was signed: its signature does not fit") from None
