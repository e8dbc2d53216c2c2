"""A receipt's file: it is what it was in the first release, and no byte of it can be another."""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.receipts import Head, Unproven, page, proven, public_key, written
from pipeline.records import AuditEntry, Receipt
from tests.pipeline.examples import clean, receipt
from tests.pipeline.receipts.signing import ANOTHER, PUBLIC, signed
from tests.pipeline.receipts.test_canonical import RECEIPTS

GOLDEN = Path(__file__).parents[1] / "golden"
ENTRIES = signed([receipt("e0"), receipt("e1"), clean("e0")])
ABOUT = [ENTRIES[0], ENTRIES[2]]
FILE = written(ABOUT)


def test_the_file_is_what_it_was() -> None:
    kept = (GOLDEN / "receipt.json").read_bytes()
    assert kept == FILE
    assert proven(kept, public_key((GOLDEN / "receipt-public.pem").read_bytes())) == tuple(ABOUT)


def test_the_page_is_what_it_was() -> None:
    assert page(ABOUT, "valid") + "\n" == (GOLDEN / "receipt.txt").read_text(encoding="utf-8")


@given(event=RECEIPTS)
@settings(max_examples=30, deadline=None)
def test_whatever_a_receipt_says_its_file_gives_it_back(event: Receipt) -> None:
    entries = signed([event])
    assert proven(written(entries), PUBLIC) == tuple(entries)


def changed(content: bytes) -> None:
    """Must not be proven; and nothing but Unproven may come of it."""
    with pytest.raises(Unproven) as refused:
        proven(content, PUBLIC)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("bit", [0x01, 0x20, 0x80])
def test_one_flipped_bit_in_any_byte_is_noticed(bit: int) -> None:
    for at in range(len(FILE)):
        changed(FILE[:at] + bytes([FILE[at] ^ bit]) + FILE[at + 1 :])


@given(at=st.integers(0, len(FILE) - 1), byte=st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_another_byte_a_lost_one_and_a_new_one_anywhere_are_noticed(at: int, byte: int) -> None:
    new = bytes([byte])
    if FILE[at : at + 1] != new:
        changed(FILE[:at] + new + FILE[at + 1 :])
    changed(FILE[:at] + FILE[at + 1 :])
    changed(FILE[:at] + new + FILE[at:])
    changed(FILE[:at])


@pytest.mark.parametrize(
    "rewritten",
    [
        FILE + b"\n",
        msgspec.json.format(FILE, indent=2),
        FILE.replace(b'"chain":0', b'"chain":0,"chain":0', 1),
        FILE.replace(b'"chain":0', b'"chain":0,"note":"kept for the auditor"', 1),
        FILE.replace(b"operator/jane", b"operator\\u002fjane", 1),
    ],
    ids=["a line end", "indented", "a name twice", "a field that nobody reads", "an escape"],
)
def test_the_same_in_other_bytes_is_told_from_a_change_of_what_it_says(rewritten: bytes) -> None:
    assert rewritten != FILE
    with pytest.raises(Unproven, match="not byte for byte the file that was written, although what it says was signed"):
        proven(rewritten, PUBLIC)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "this is no receipt, or no whole one"),
        (b"PK\x03\x04", "this is no receipt, or no whole one"),
        (b"[" * 100_000, "this is no receipt, or no whole one"),
        (b'{"format":"faceline receipt 2","entries":[]}', "this is no receipt, or no whole one"),
        (written([]), "this does not begin with a receipt"),
        (written([ENTRIES[2]]), "this does not begin with a receipt"),
        (written([ENTRIES[0], ENTRIES[1]]), "entry 1 is not about erasure e0, as the receipt is"),
        (written([ENTRIES[1], ENTRIES[2]]), "entry 2 is not about erasure e1, as the receipt is"),
    ],
)
def test_what_is_none_says_so(content: bytes, told: str) -> None:
    with pytest.raises(Unproven, match=f"^{told}"):
        proven(content, PUBLIC)


def test_what_was_verified_comes_later_in_the_same_chain() -> None:
    def refused(entries: list[AuditEntry]) -> str:
        with pytest.raises(Unproven) as caught:
            proven(written(entries), PUBLIC)
        return str(caught.value)

    (before,) = signed([clean("e0")])
    assert refused([ENTRIES[0], before]) == "entry 0 of chain 0 does not come after entry 0"
    (elsewhere,) = signed([clean("e0")], Head(1, 5))
    assert refused([ENTRIES[0], elsewhere]) == "entry 5 of chain 1 does not come after entry 0"


def test_another_key_proves_nothing() -> None:
    with pytest.raises(Unproven, match=r"^entry 0 of chain 0 says that key"):
        proven(FILE, ANOTHER.public_key())
