"""The chain: every entry repeats the hash of the one before, so that none can be changed, moved or left out alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from pipeline.receipts.canonical import canonical, digest, in_order
from pipeline.receipts.signature import Signer, Unproven, verify_entry
from pipeline.records import AuditEntry, AuditEvent

NOTHING = bytes(32)  # what the first entry repeats


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain goes on: the number of its next entry, and the hash which that entry has to repeat."""

    chain: int
    sequence: int = 0
    previous: bytes = NOTHING

    @classmethod
    def after(cls, entry: AuditEntry) -> "Head":
        """The head once `entry` is on the chain."""
        return cls(entry.chain, entry.sequence + 1, digest(entry))

    @classmethod
    def before(cls, entry: AuditEntry) -> "Head":
        """The head that `entry` was appended to; what came earlier is taken at its word."""
        return cls(entry.chain, entry.sequence, entry.previous)


def appended(head: Head, event: AuditEvent, at: datetime, signer: Signer) -> AuditEntry:
    """The entry that tells `event` next; the chain goes on at `Head.after` it."""
    draft = AuditEntry(
        sequence=head.sequence,
        chain=head.chain,
        previous=head.previous,
        at=at,
        event=in_order(event),
        signer=signer.fingerprint,
        signature=bytes(64),
    )
    # Signed is what a reader will hold: times in UTC, every number and length checked.
    read = msgspec.msgpack.decode(msgspec.msgpack.encode(draft), type=AuditEntry)
    return msgspec.structs.replace(read, signature=signer.sign(canonical(read)))


def verify_chain(
    entries: Sequence[AuditEntry],
    key: Ed25519PublicKey,
    start: Head | None = None,
    *,
    reaches: int | None = None,
) -> Head | None:
    """The head after all `entries`, which are one chain as it was read. Unproven naming the first bad link.

    They go on from `start`; without it, they are the chain from its first entry. `reaches` is a sequence number that
    is known to have been on it. None where there is no entry and nothing to go on from.
    """
    head = start if start is not None or not entries else Head(entries[0].chain)
    for entry in entries:
        verify_entry(entry, key)
        if head is not None:
            _verify_link(head, entry, entries)
        head = Head.after(entry)
    if reaches is not None and (head is None or head.sequence <= reaches):
        end = "is empty" if head is None or not head.sequence else f"ends with entry {head.sequence - 1}"
        raise Unproven(f"chain {0 if head is None else head.chain} {end}, but entry {reaches} was on it: it was cut")
    return head


def _verify_link(head: Head, entry: AuditEntry, entries: Sequence[AuditEntry]) -> None:
    place = f"entry {entry.sequence} of chain {entry.chain}"
    if entry.chain != head.chain:
        raise Unproven(f"{place} stands in chain {head.chain}")
    if entry.sequence < head.sequence:
        raise Unproven(f"{place} stands after entry {head.sequence - 1}: the order was changed, or it was repeated")
    if entry.sequence > head.sequence:
        moved = any(each.sequence == head.sequence for each in entries)
        what = "the order was changed" if moved else f"entry {head.sequence} is missing"
        raise Unproven(f"{place} stands where entry {head.sequence} belongs: {what}")
    if entry.previous != head.previous:
        before = "nothing" if not head.sequence else f"this entry {head.sequence - 1}"
        raise Unproven(f"{place} was not made to follow {before}: one of the two was exchanged")


def verify_held(
    held: Sequence[AuditEntry], chains: Mapping[int, Sequence[AuditEntry]], oldest: datetime
) -> list[AuditEntry]:
    """Unproven where an entry that somebody holds is not on its chain, as it is, although it is not older than kept.

    `oldest` is the time from which on nothing may be missing. Returns those that are older, and gone.
    """
    gone = []
    for entry in held:
        place = f"entry {entry.sequence} of chain {entry.chain}"
        found = next((each for each in chains.get(entry.chain, ()) if each.sequence == entry.sequence), None)
        if found is None and entry.at < oldest:
            gone.append(entry)
        elif found is None:
            raise Unproven(f"{place}, which you hold, is not on the topic: the chain was cut")
        elif found != entry:
            raise Unproven(f"{place} is another one on the topic than the one that you hold")
    return gone
