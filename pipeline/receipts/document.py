"""A receipt as a file: one JSON document by RFC 8785, of which no byte can be another.

It carries the entry of the receipt, then those of what was verified about it afterwards.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from pipeline.receipts.signature import Unproven, verify_entry
from pipeline.records import AuditEntry, Receipt, Record

FORMAT: Literal["faceline receipt 1"] = "faceline receipt 1"


class Document(Record, frozen=True):
    """What the file holds."""

    format: Literal["faceline receipt 1"]
    entries: tuple[AuditEntry, ...]


def written(entries: Sequence[AuditEntry]) -> bytes:
    """The file's content: a receipt's entry and, in their order, those that verified its erasure."""
    return rfc8785.dumps(msgspec.to_builtins(Document(format=FORMAT, entries=tuple(entries))))


def proven(content: bytes, key: Ed25519PublicKey) -> tuple[AuditEntry, ...]:
    """The entries of a file, once every one of its bytes is proven. Unproven says what does not hold."""
    try:
        entries = msgspec.json.decode(content, type=Document).entries
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unproven("this is no receipt, or no whole one") from None
    for entry in entries:
        verify_entry(entry, key)
    _verify_belonging(entries)
    if written(entries) != content:
        raise Unproven("this is not byte for byte the file that was written, although what it says was signed")
    return entries


def _verify_belonging(entries: Sequence[AuditEntry]) -> None:
    if not entries or not isinstance(entries[0].event, Receipt):
        raise Unproven("this does not begin with a receipt")
    first, place = entries[0], entries[0].sequence
    for entry in entries[1:]:
        if isinstance(entry.event, Receipt) or entry.event.erasure != first.event.erasure:
            raise Unproven(f"entry {entry.sequence} is not about erasure {first.event.erasure}, as the receipt is")
        if entry.chain != first.chain or entry.sequence <= place:
            raise Unproven(f"entry {entry.sequence} of chain {entry.chain} does not come after entry {place}")
        place = entry.sequence
