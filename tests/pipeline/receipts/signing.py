"""A key that is the same in every run, and chains signed with it."""

from collections.abc import Iterable
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.receipts import Head, Signer, appended, fingerprint
from pipeline.records import AuditEntry, AuditEvent
from tests.pipeline.examples import NOON

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PRIVATE.public_key()
SIGNER = Signer(PRIVATE.sign, fingerprint(PUBLIC))
ANOTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))


def signed(
    events: Iterable[AuditEvent], head: Head | None = None, *, at: datetime = NOON, signer: Signer = SIGNER
) -> list[AuditEntry]:
    """A chain that tells `events`, from `head` on."""
    head = Head(0) if head is None else head
    entries = []
    for event in events:
        entries.append(appended(head, event, at, signer))
        head = Head.after(entries[-1])
    return entries
