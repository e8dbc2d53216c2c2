"""The links of the audit chain: what was erased, and what was found clean afterwards; signed, one after the other.

They name operations, ids, offsets and fingerprints: never a name, userData, a template or an image.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from pipeline.records.base import Instant, Record

# Exact in every JSON there is (RFC 8785, 3.2.2.3): an entry is signed as JSON.
Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 53) - 1)]
Digest = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]  # SHA-256
Signature = Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]  # Ed25519, RFC 8032


ErasedKind = Literal["face", "person", "collection"]


class Span(Record, frozen=True):
    """The tombstones of an erasure in one partition: `count` of them, at offsets `first`..`last`, both inclusive."""

    topic: str
    partition: Count
    first: Count
    last: Count
    count: Count


class Passed(Record, frozen=True):
    """From `at` on, one identify partition names nobody of an erasure.

    Its watermark told the next offset that it reads of each partition ("topic/partition") of the tables; or, where it
    was `fenced`, its owner can write no more, and `positions` are what the fence itself had seen.
    """

    partition: Count
    positions: Mapping[str, Count]
    at: Instant
    fenced: bool = False


class Bound(Record, frozen=True):
    """What is promised of one store: gone from it so many seconds after the erasure, or no promise; and why."""

    store: str
    why: str
    seconds: float | None = None


class Receipt(Record, frozen=True, tag_field="event", tag="receipt"):
    """An erasure, `requested` by a principal and `effective` (acknowledged) at these times.

    `subject` is a persistedFaceId, a personId or a collectionUid. `counts` are tombstones by topic. `keys` are
    fingerprints of the destroyed data keys' ids, or one of them all (`receipts.destroyed_keys`).
    """

    erasure: str
    principal: str
    kind: ErasedKind
    subject: str
    requested: Instant
    effective: Instant
    counts: Mapping[str, Count]
    keys: tuple[str, ...]
    tombstones: tuple[Span, ...]
    passed: tuple[Passed, ...]
    bounds: tuple[Bound, ...]


class Verified(Record, frozen=True, tag_field="event", tag="verified"):
    """A store was searched for what an erasure had to remove, `seconds` after it took effect; `how` is a sentence."""

    erasure: str
    store: str
    at: Instant
    clean: bool
    seconds: float
    how: str


AuditEvent = Receipt | Verified


class AuditEntry(Record, frozen=True):
    """A link: entry `sequence` (from 0) of the chain that is in partition `chain` of `audit`.

    `previous` is the SHA-256 of what was signed of the entry before, zeros in the first; `signer` the fingerprint of
    the public key that the `signature` fits.
    """

    sequence: Count
    chain: Count
    previous: Digest
    at: Instant
    event: AuditEvent
    signer: str
    signature: Signature
