"""One spelling per entry: the same after every wire, and the same whoever collected its parts in which order."""

import json
import random
from datetime import UTC, datetime, timedelta, timezone

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.changes import Put
from pipeline.codec import decode, encode
from pipeline.receipts import canonical, destroyed_key, digest, verify_entry
from pipeline.records import AuditEntry, Bound, Passed, Receipt, Span, Verified
from pipeline.topology import AUDIT
from tests.pipeline.examples import NOON, clean, receipt
from tests.pipeline.receipts.signing import PUBLIC, signed

COUNTS = st.integers(0, (1 << 53) - 1)
WORDS = st.text(st.characters(codec="utf-8"), max_size=12)
# RFC 3339 knows no offset of seconds, and years of four digits.
MOMENTS = st.datetimes(
    min_value=NOON.replace(tzinfo=None), timezones=st.sampled_from([UTC, timezone(timedelta(hours=2))])
)
SECONDS = st.floats(allow_nan=False, allow_infinity=False)
SPANS = st.builds(Span, topic=WORDS, partition=COUNTS, first=COUNTS, last=COUNTS, count=COUNTS)
PASSED = st.builds(
    Passed,
    partition=COUNTS,
    positions=st.dictionaries(WORDS, COUNTS, max_size=3),
    at=MOMENTS,
    fenced=st.booleans(),
)
BOUNDS = st.builds(Bound, store=WORDS, why=WORDS, seconds=st.none() | SECONDS)


def some(what: st.SearchStrategy[object]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(what, max_size=3).map(tuple)


RECEIPTS = st.builds(
    Receipt,
    erasure=WORDS,
    principal=WORDS,
    kind=st.sampled_from(["face", "person", "collection"]),
    subject=WORDS,
    requested=MOMENTS,
    effective=MOMENTS,
    counts=st.dictionaries(WORDS, COUNTS, max_size=4),
    keys=some(WORDS),
    tombstones=some(SPANS),
    passed=some(PASSED),
    bounds=some(BOUNDS),
)
VERIFIED = st.builds(Verified, erasure=WORDS, store=WORDS, at=MOMENTS, clean=st.booleans(), seconds=SECONDS, how=WORDS)
EVENTS = RECEIPTS | VERIFIED


@given(event=EVENTS, at=MOMENTS)
@settings(max_examples=60, deadline=None)
def test_what_was_signed_is_what_is_read_from_kafka_and_from_json(event: Receipt | Verified, at: datetime) -> None:
    (entry,) = signed([event], at=at)
    wire = encode(AUDIT, Put("e0", entry))
    from_kafka = decode(AUDIT, wire.key, wire.value, wire.headers)
    from_json = msgspec.json.decode(msgspec.json.encode(entry), type=AuditEntry)
    assert isinstance(from_kafka, Put)
    for read in (from_kafka.value, from_json):
        assert read == entry
        assert canonical(read) == canonical(entry)
        verify_entry(read, PUBLIC)


def test_it_is_json_with_sorted_names_and_without_the_signature() -> None:
    (entry,) = signed([receipt()])
    told = json.loads(canonical(entry))
    assert list(told) == ["at", "chain", "event", "previous", "sequence", "signer"]
    assert told["event"]["counts"] == {"persons": 1, "templates": 3}
    assert told["at"] == "2026-01-01T12:00:00Z"
    assert len(digest(entry)) == 32


def test_whoever_collects_the_parts_in_another_order_tells_it_alike() -> None:
    plain = receipt()
    parts = {
        "keys": ("b", "a", "c"),
        "tombstones": (*plain.tombstones, Span(topic="persons", partition=0, first=50, last=50, count=1)),
        "passed": plain.passed,
        "bounds": plain.bounds,
    }
    spelt = set()
    for seed in range(20):
        chance = random.Random(seed)
        shuffled = {name: tuple(chance.sample(each, len(each))) for name, each in parts.items()}
        counts = dict(chance.sample(list(plain.counts.items()), 2))
        spelt.add(canonical(signed([msgspec.structs.replace(plain, counts=counts, **shuffled)])[0]))
    assert len(spelt) == 1


def test_a_key_is_told_by_its_fingerprint() -> None:
    assert destroyed_key("person/1f") == destroyed_key("person/1f") != destroyed_key("person/2f")
    assert len(destroyed_key("person/1f")) == 32


def test_an_entry_tells_nothing_beyond_its_fields() -> None:
    """Whoever adds a field here has thought of what it may tell of a person."""
    told = {name: set(kind.__struct_fields__) for name, kind in {"receipt": Receipt, "verified": Verified}.items()}
    assert told == {
        "receipt": {
            "erasure", "principal", "kind", "subject", "requested", "effective", "counts", "keys", "tombstones",
            "passed", "bounds",
        },
        "verified": {"erasure", "store", "at", "clean", "seconds", "how"},
    }  # fmt: skip
    assert clean().how.count(".") == 0
