"""The one spelling of an entry that is signed and hashed: JSON by RFC 8785, bytes as base64, times in UTC.

Whoever has an Ed25519 and an RFC 8785 library can check a receipt without this program: take `signature` out of the
entry, write the rest by RFC 8785, verify.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec
import rfc8785

from pipeline.records import AuditEntry, AuditEvent, Receipt, Verified

MOST_KEYS = 300  # an entry must fit into a record
FINGERPRINT_DIGITS = 32  # 128 bits: nobody finds another key with the same


def canonical(entry: AuditEntry) -> bytes:
    """What is signed: the entry without its signature."""
    plain: dict[str, Any] = msgspec.to_builtins(entry)
    del plain["signature"]
    return rfc8785.dumps(plain)


def digest(entry: AuditEntry) -> bytes:
    """The SHA-256 of what is signed, which the next entry of the chain repeats."""
    return hashlib.sha256(canonical(entry)).digest()


def shortened(content: bytes) -> str:
    """SHA-256 of `content`, the first 32 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()[:FINGERPRINT_DIGITS]


def destroyed_key(kid: str) -> str:
    """The fingerprint of a data key's id; the id is no secret, but names what else was sealed with it."""
    return shortened(kid.encode())


def destroyed_keys(kids: Iterable[str]) -> tuple[str, ...]:
    """The fingerprints of these keys, sorted; of more than `MOST_KEYS`, the one of all of them in that order."""
    each = sorted(destroyed_key(kid) for kid in kids)
    return tuple(each) if len(each) <= MOST_KEYS else (shortened("".join(each).encode()),)


def in_order(event: AuditEvent) -> AuditEvent:
    """The event with its collections sorted, so that who tells it again after a crash tells it alike."""
    match event:
        case Verified():
            return event
        case Receipt():
            return msgspec.structs.replace(
                event,
                keys=tuple(sorted(event.keys)),
                tombstones=tuple(sorted(event.tombstones, key=lambda each: (each.topic, each.partition, each.first))),
                passed=tuple(sorted(event.passed, key=lambda each: each.partition)),
                bounds=tuple(sorted(event.bounds, key=lambda each: each.store)),
            )
