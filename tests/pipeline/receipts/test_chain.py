"""A chain that holds says where it goes on; of one that does not, the first bad link is named."""

import re
from collections.abc import Callable
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.receipts import (
    NOTHING,
    Head,
    NoPublicKey,
    Signer,
    Unproven,
    appended,
    digest,
    fingerprint,
    public_key,
    verify_chain,
    verify_entry,
    verify_held,
)
from pipeline.records import AuditEntry
from tests.pipeline.examples import NOON, clean, receipt, seconds
from tests.pipeline.receipts.signing import ANOTHER, PUBLIC, SIGNER, signed

Fault = Callable[[list[AuditEntry]], list[AuditEntry]]
EVENTS = (receipt("e0"), clean("e0"), receipt("e1"), clean("e1", store="milvus"), clean("e0", store="milvus"))
FOREIGN = Signer(ANOTHER.sign, fingerprint(ANOTHER.public_key()))
FORGED = Signer(ANOTHER.sign, fingerprint(PUBLIC))


@pytest.fixture
def chain() -> list[AuditEntry]:
    return signed(EVENTS)


def test_a_chain_that_holds_says_where_it_goes_on(chain: list[AuditEntry]) -> None:
    assert [entry.sequence for entry in chain] == [0, 1, 2, 3, 4]
    assert chain[0].previous == NOTHING
    assert verify_chain(chain, PUBLIC) == Head(0, 5, digest(chain[4])) == Head.after(chain[4])
    assert verify_chain(chain, PUBLIC, reaches=4) == Head.after(chain[4])


def test_it_goes_on_from_a_head_and_from_what_retention_left(chain: list[AuditEntry]) -> None:
    assert verify_chain(chain[2:], PUBLIC, Head.after(chain[1])) == Head.after(chain[4])
    assert Head.before(chain[2]) == Head.after(chain[1])
    assert verify_chain(chain[2:], PUBLIC, Head.before(chain[2])) == Head.after(chain[4])
    assert verify_chain([], PUBLIC) is None
    assert verify_chain([], PUBLIC, Head.after(chain[4])) == Head.after(chain[4])


def replaced(place: int, /, **fields: object) -> Fault:
    return lambda chain: [*chain[:place], msgspec.structs.replace(chain[place], **fields), *chain[place + 1 :]]


def told_anew(at: int, signer: Signer = SIGNER) -> Fault:
    """Another entry of the same number, on the same head, by whoever has a key."""
    return lambda chain: [
        *chain[:at],
        appended(Head.before(chain[at]), receipt("other"), NOON, signer),
        *chain[at + 1 :],
    ]


FAULTS: dict[str, tuple[Fault, str]] = {
    "left out": (lambda chain: [*chain[:2], *chain[3:]], "entry 3 of chain 0 stands where entry 2 belongs: entry 2 is"),
    "first left out": (lambda chain: chain[1:], "entry 1 of chain 0 stands where entry 0 belongs: entry 0 is missing"),
    "exchanged places": (
        lambda chain: [chain[0], chain[2], chain[1], *chain[3:]],
        "entry 2 of chain 0 stands where entry 1 belongs: the order was changed",
    ),
    "repeated": (
        lambda chain: [*chain[:3], chain[1], *chain[3:]],
        "entry 1 of chain 0 stands after entry 2: the order was changed, or it was repeated",
    ),
    "another chain's": (
        lambda chain: [*chain[:3], *signed([receipt("e9")], Head(1, 3, chain[3].previous)), *chain[4:]],
        "entry 3 of chain 1 stands in chain 0",
    ),
    "changed": (replaced(2, event=receipt("e2")), "entry 2 of chain 0 is not what was signed"),
    "renumbered": (replaced(3, sequence=4), "entry 4 of chain 0 is not what was signed"),
    "another time": (replaced(1, at=NOON + seconds(1)), "entry 1 of chain 0 is not what was signed"),
    "another hash": (replaced(1, previous=bytes([1] * 32)), "entry 1 of chain 0 is not what was signed"),
    "a bit of the signature": (replaced(4, signature=bytes(64)), "entry 4 of chain 0 is not what was signed"),
    "told anew with the key": (
        told_anew(1),
        "entry 2 of chain 0 was not made to follow this entry 1: one of the two was exchanged",
    ),
    "told anew with another key": (told_anew(1, FOREIGN), "entry 1 of chain 0 says that key "),
    "told anew in the name of the key": (told_anew(1, FORGED), "entry 1 of chain 0 is not what was signed"),
    "begun on something": (
        lambda chain: signed(EVENTS, Head(0, 0, bytes([7] * 32))),
        "entry 0 of chain 0 was not made to follow nothing",
    ),
    "cut at its end": (lambda chain: chain[:3], "chain 0 ends with entry 2, but entry 4 was on it: it was cut"),
    "emptied": (lambda chain: [], "chain 0 is empty, but entry 4 was on it: it was cut"),
}


@pytest.mark.parametrize(("fault", "told"), FAULTS.values(), ids=FAULTS)
def test_the_first_bad_link_is_named(chain: list[AuditEntry], fault: Fault, told: str) -> None:
    with pytest.raises(Unproven, match=f"^{re.escape(told)}"):
        verify_chain(fault(chain), PUBLIC, reaches=4)


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_no_entries_but_all_of_them_in_order_are_the_chain(data: st.DataObject) -> None:
    chain = signed(EVENTS)
    some = data.draw(st.lists(st.sampled_from(chain), max_size=7))
    if some == chain:
        return
    with pytest.raises(Unproven):
        verify_chain(some, PUBLIC, reaches=4)


def test_another_key_is_named_beside_the_one_that_signed(chain: list[AuditEntry]) -> None:
    with pytest.raises(Unproven) as refused:
        verify_entry(chain[0], ANOTHER.public_key())
    assert str(refused.value) == (
        f"entry 0 of chain 0 says that key {SIGNER.fingerprint} signed it, and this is key {FOREIGN.fingerprint}"
    )


@pytest.mark.parametrize("pem", [b"", b"no key", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_what_is_no_public_key_is_said_to_be_none(pem: bytes) -> None:
    with pytest.raises(NoPublicKey, match="no public key in PEM"):
        public_key(pem)


def test_what_somebody_holds_must_be_on_the_chain_unless_it_is_older_than_that(chain: list[AuditEntry]) -> None:
    earlier = NOON - timedelta(days=1)
    assert verify_held([chain[2], chain[4]], {0: chain}, earlier) == []
    assert verify_held([chain[0]], {0: chain[1:]}, NOON + seconds(1)) == [chain[0]]
    for held, chains in (([chain[4]], {0: chain[:4]}), ([chain[0]], {0: chain[1:]}), ([chain[0]], {})):
        with pytest.raises(Unproven, match=r"entry \d of chain 0, which you hold, is not on the topic: the chain was"):
            verify_held(held, chains, earlier)
    with pytest.raises(Unproven, match="entry 1 of chain 0 is another one on the topic than the one that you hold"):
        verify_held([chain[1]], {0: told_anew(1)(chain)}, earlier)
