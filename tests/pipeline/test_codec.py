"""What was written is read again, whatever else arrives is refused in one line, and what is sealed stays in place."""

import itertools
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, reduce
from operator import or_
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.keystore import KeyDestroyed, KeyStore, SealBroken
from pipeline.changes import Put, Tombstone
from pipeline.codec import (
    SCHEMA_HEADER,
    SCHEMA_VERSION,
    Headers,
    MalformedError,
    NewerSchemaError,
    Received,
    Unusable,
    associated,
    decode,
    encode,
    receive,
    seal,
    unseal,
)
from pipeline.records import Sealed, Watch
from pipeline.topology import (
    COLLECTIONS,
    COMMANDS,
    FACES,
    FRAMES,
    GAPS,
    IDENTIFICATIONS,
    LEDGER,
    PERSONS,
    TEMPLATES,
    TOPICS,
    Topic,
)
from tests.pipeline.examples import NOON, collection, face, frame, seconds

HEADERS: Headers = ((SCHEMA_HEADER, str(SCHEMA_VERSION).encode()),)
CONTENT = "JANE DOE"
MOMENTS = st.datetimes(timezones=st.just(UTC))
PLAIN: dict[type[msgspec.inspect.Type], st.SearchStrategy[Any]] = {
    msgspec.inspect.NoneType: st.none(),
    msgspec.inspect.BoolType: st.booleans(),
    msgspec.inspect.IntType: st.integers(-(1 << 63), (1 << 63) - 1),
    msgspec.inspect.StrType: st.text(max_size=8),
    msgspec.inspect.BytesType: st.binary(max_size=8),
    msgspec.inspect.DateTimeType: MOMENTS,
}


def strategy(kind: msgspec.inspect.Type, outward: bool) -> st.SearchStrategy[Any]:
    """Anything that a field of that type may hold."""
    match kind:
        case msgspec.inspect.StructType(cls=cls, fields=fields):
            return st.builds(cls, **{field.name: strategy(field.type, outward) for field in fields})
        case msgspec.inspect.UnionType(types=types):
            return reduce(or_, (strategy(each, outward) for each in types))
        case msgspec.inspect.TupleType(item_types=items):
            return st.tuples(*(strategy(item, outward) for item in items))
        case msgspec.inspect.VarTupleType(item_type=item):
            return st.lists(strategy(item, outward), max_size=3).map(tuple)
        case msgspec.inspect.DictType(key_type=key, value_type=value):
            return st.dictionaries(strategy(key, outward), strategy(value, outward), max_size=3)
        case msgspec.inspect.LiteralType(values=values):
            return st.sampled_from(values)
        case msgspec.inspect.IntType(ge=int(least), le=most):
            return st.integers(least, (1 << 63) - 1 if most is None else int(most))
        case msgspec.inspect.BytesType(min_length=int(least), max_length=most):
            return st.binary(min_size=least, max_size=most)
        case msgspec.inspect.DictType(key_type=key, value_type=value):
            return st.dictionaries(strategy(key, outward), strategy(value, outward), max_size=3)
        case msgspec.inspect.FloatType():
            return st.floats(allow_nan=False, allow_infinity=not outward)
        case _:
            return PLAIN[type(kind)]


@cache
def records_of(topic: Topic) -> st.SearchStrategy[Any]:
    return strategy(msgspec.inspect.type_info(topic.value), topic.outward)


def named(topic: Topic) -> str:
    return topic.name


every_topic = pytest.mark.parametrize("topic", TOPICS, ids=named)
some = settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow], deadline=None)


@every_topic
@given(data=st.data(), key=st.text(min_size=1))
@some
def test_every_record_of_every_topic_is_read_as_it_was_written(topic: Topic, data: st.DataObject, key: str) -> None:
    put = Put(key, data.draw(records_of(topic)))
    wire = encode(topic, put)
    assert decode(topic, wire.key, wire.value, wire.headers) == put


@every_topic
def test_a_tombstone_is_a_null_value_and_nothing_else(topic: Topic) -> None:
    wire = encode(topic, Tombstone("key"))
    assert wire.value is None
    assert decode(topic, wire.key, wire.value, wire.headers) == Tombstone("key")
    assert decode(topic, b"key", None, ()) == Tombstone("key")
    with pytest.raises(MalformedError, match="neither a value nor a tombstone"):
        decode(topic, b"key", b"", HEADERS)


def test_headers_of_the_caller_come_after_the_version() -> None:
    wire = encode(FRAMES, Put("door", frame()), [("ce_id", b"1")])
    assert wire.headers == ((SCHEMA_HEADER, b"1"), ("ce_id", b"1"))
    assert decode(FRAMES, wire.key, wire.value, wire.headers[::-1]) == Put("door", frame())


def test_a_field_that_a_same_version_writer_added_is_passed_over() -> None:
    more = msgspec.to_builtins(collection(), builtin_types=(bytes, datetime)) | {"colour": "blue"}
    assert decode(COLLECTIONS, b"u0", msgspec.msgpack.encode(more), HEADERS) == Put("u0", collection())


def test_a_record_that_its_topic_would_refuse_is_not_encoded() -> None:
    crowd = msgspec.structs.replace(frame(), watch=Watch(collections=("x" * FRAMES.max_bytes,)))
    with pytest.raises(ValueError, match=r"a record of \d+ bytes exceeds the 4194304 of topic frames"):
        encode(FRAMES, Put("door", crowd))


# --- hostile wire ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hostile:
    """What somebody may have written, and what is said of it."""

    said: str
    topic: Topic = COLLECTIONS
    key: bytes | None = b"key"
    value: bytes | None = b"\x80"
    headers: Any = HEADERS


def packed(**fields: Any) -> bytes:
    return msgspec.msgpack.encode(fields)


def face_but(**fields: Any) -> bytes:
    return packed(**(msgspec.to_builtins(face(), builtin_types=(bytes, datetime)) | fields))


MISSING, FOREIGN = "Object missing required field", "not a record of this topic"
NO_NUMBER = "the header faceline-schema is not a number"
# An array that says it has 2^32 - 1 members, and has none.
BOMB = b"\xdd\xff\xff\xff\xff"
HOSTILE = {
    "null key": Hostile("the record has no key", key=None),
    "empty key": Hostile("the record has no key", key=b""),
    "latin-1 key": Hostile("the key is not UTF-8", key="Jürgen".encode("latin-1")),
    "latin-1 key of a tombstone": Hostile("the key is not UTF-8", key=b"\xff", value=None),
    "empty value": Hostile("the value is empty, which is neither a value nor a tombstone", value=b""),
    "oversized value": Hostile(
        "the value of 1048577 bytes exceeds the 1048576 of the topic", value=b"x" * (COLLECTIONS.max_bytes + 1)
    ),
    "no headers": Hostile("the header faceline-schema is missing", headers=()),
    "another's headers": Hostile("the header faceline-schema is missing", headers=[("traceparent", b"00-1-2-03")]),
    "empty version": Hostile(NO_NUMBER, headers=[(SCHEMA_HEADER, b"")]),
    "null version": Hostile(NO_NUMBER, headers=[(SCHEMA_HEADER, None)]),
    "version in words": Hostile(NO_NUMBER, headers=[(SCHEMA_HEADER, b"one")]),
    "negative version": Hostile(NO_NUMBER, headers=[(SCHEMA_HEADER, b"-1")]),
    "superscript version": Hostile(NO_NUMBER, headers=[(SCHEMA_HEADER, "²".encode())]),
    "endless version": Hostile(NO_NUMBER, headers=[(SCHEMA_HEADER, b"9" * 5000)]),
    "newer version": Hostile(
        "schema version 2 is newer than this release's 1: upgrade Faceline", headers=[(SCHEMA_HEADER, b"2")]
    ),
    "garbage": Hostile("Expected `object`, got `str`", value=b"\xa3" + CONTENT.encode()),
    "reserved byte": Hostile(FOREIGN, value=b"\xc1"),
    "truncated": Hostile(FOREIGN, value=packed(uid="u0")[:-1]),
    "trailing bytes": Hostile(FOREIGN, topic=LEDGER, value=packed(camera="c", session="s", stage="detect") + b"\x01"),
    "JSON on an inner topic": Hostile("Expected `object`, got `int`", value=b'{"uid": "u0"}'),
    "MessagePack on the outward topic": Hostile(FOREIGN, topic=IDENTIFICATIONS, value=packed(track_id="t0")),
    "nothing of what must be there": Hostile(f"{MISSING} `uid`", value=packed()),
    "wrong type": Hostile("Expected `str`, got `int` - at `$.uid`", value=packed(uid=7)),
    "bytes for text": Hostile("Expected `str`, got `bytes` - at `$.uid`", value=packed(uid=CONTENT.encode())),
    "number as a field's name": Hostile("Expected `str`, got `int` - at `key` in `$`", value=b"\x81\x01\x01"),
    "unknown word": Hostile("Invalid enum value - at `$.kind`", value=packed(kind=CONTENT)),
    "unknown word with a quote": Hostile("Invalid enum value - at `$.kind`", value=packed(kind=f"x' - at `{CONTENT}`")),
    "unknown word in JSON": Hostile(
        "Invalid enum value - at `$.decision`", topic=IDENTIFICATIONS, value=f'{{"decision": "{CONTENT}"}}'.encode()
    ),
    "unknown command": Hostile("Invalid value - at `$.kind`", topic=COMMANDS, value=packed(kind=CONTENT)),
    "huge unknown command": Hostile("Invalid value - at `$.kind`", topic=COMMANDS, value=packed(kind="x" * 1_048_000)),
    "command without a kind": Hostile(f"{MISSING} `kind`", topic=COMMANDS, value=packed(scope=CONTENT)),
    "text that is not UTF-8": Hostile(FOREIGN, value=b"\x81\xa3uid\xa2\xff\xfe"),
    "lone surrogate": Hostile(FOREIGN, topic=IDENTIFICATIONS, value=b'{"track_id": "\\ud800"}'),
    "sealed too short": Hostile("Expected `array` of at least length 3, got 1 - at `$.name`", value=packed(name=["k"])),
    "deep nesting": Hostile(FOREIGN, value=b"\x81\xa1z" + b"\x91" * 900_000),
    "deep nesting in JSON": Hostile(FOREIGN, topic=IDENTIFICATIONS, value=b'{"z":' + b"[" * 900_000),
    "array bomb": Hostile(FOREIGN, topic=LEDGER, value=b"\x81\xa9processed" + BOMB),
    "array bomb in a sealed field": Hostile(FOREIGN, topic=PERSONS, value=b"\x81\xa4name" + BOMB),
    "map bomb": Hostile(FOREIGN, value=b"\xdf\xff\xff\xff\xff"),
    "bytes bomb": Hostile(FOREIGN, topic=PERSONS, value=b"\x81\xa4name\x93\xa1k\xc6\xff\xff\xff\xff"),
    "naive time": Hostile(
        "Expected `datetime` with a timezone component - at `$.expires`",
        topic=FACES,
        value=face_but(expires="2026-01-01T12:00:00"),
    ),
    "time without end": Hostile(
        "Timestamp is out of range  - at `$.expires`",
        topic=FACES,
        value=b"\x81\xa7expires\xc7\x0c\xff" + bytes(4) + b"\x7f" + b"\xff" * 7,
    ),
    "thirty-fifth of May": Hostile(
        "Invalid RFC3339 encoded datetime - at `$.expires`",
        topic=FACES,
        value=face_but(expires="2026-05-35T12:00:00Z"),
    ),
    "endless number": Hostile(
        "Integer value out of range - at `$.revision`", topic=IDENTIFICATIONS, value=b'{"revision": %s}' % (b"9" * 5000)
    ),
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_hostile_records_are_refused_in_words_that_hold_nothing_of_them(hostile: Hostile) -> None:
    with pytest.raises(MalformedError) as refused:
        decode(hostile.topic, hostile.key, hostile.value, hostile.headers)
    assert CONTENT not in str(refused.value)
    assert str(refused.value).startswith(hostile.said)
    assert isinstance(refused.value, NewerSchemaError) == ("newer" in hostile.said)


@every_topic
@given(value=st.binary(min_size=1))
@some
def test_random_bytes_are_refused_or_read_but_never_raise_anything_else(topic: Topic, value: bytes) -> None:
    with suppress(MalformedError):
        assert isinstance(decode(topic, b"key", value, HEADERS), Put)


@every_topic
@given(data=st.data())
@some
def test_a_flipped_or_lost_byte_is_refused_or_read_but_never_raises_anything_else(
    topic: Topic, data: st.DataObject
) -> None:
    whole = encode(topic, Put("key", data.draw(records_of(topic)))).value or b""
    at = data.draw(st.integers(0, len(whole) - 1))
    flipped = whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :]
    for value in (flipped, whole[:at] or b"\xc1"):
        with suppress(MalformedError):
            assert isinstance(decode(topic, b"key", value, HEADERS), Put)


@dataclass(frozen=True)
class Raw:
    """A record as a client hands it over."""

    key: bytes | None
    value: bytes | None
    headers: Headers
    partition: int = 3
    offset: int = 42
    timestamp: int = 1_767_268_800_250


def test_a_received_record_knows_where_it_stood_and_when_the_broker_took_it() -> None:
    wire = encode(FRAMES, Put("door", frame()))
    appended = datetime(2026, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)
    got = receive(FRAMES, Raw(wire.key, wire.value, wire.headers))
    assert got == Received(FRAMES, 3, 42, appended, Put("door", frame()))


def test_what_cannot_be_read_is_told_by_its_place() -> None:
    assert receive(GAPS, Raw(None, b"x", HEADERS)) == Unusable(GAPS, 3, 42, "the record has no key")


def test_what_a_newer_release_wrote_says_so() -> None:
    told = receive(GAPS, Raw(b"door", b"x", [(SCHEMA_HEADER, b"7")]))
    assert isinstance(told, Unusable)
    assert told.newer


# --- sealing ---------------------------------------------------------------------------------------------------------

KEY = "p0/e0"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyStore]:
    store = KeyStore.create(tmp_path_factory.mktemp("keys"))
    yield store
    store.close()


@given(plain=st.binary(max_size=64), key=st.text(min_size=1), expires=st.none() | MOMENTS)
@settings(max_examples=15, deadline=None)
def test_what_is_sealed_opens_where_it_stands(keys: KeyStore, plain: bytes, key: str, expires: datetime | None) -> None:
    kid = keys.new("person")
    closed = seal(keys, kid, plain, topic=TEMPLATES, key=key, field="vector", expires=expires)
    assert unseal(keys, closed, topic=TEMPLATES, key=key, field="vector", expires=expires) == plain


@pytest.mark.parametrize(
    "moved",
    [
        {"topic": PERSONS},
        {"key": "p0/e1"},
        {"key": "p1/e0"},
        {"field": "name"},
        {"expires": None},
        {"expires": NOON + seconds(0.000001)},
    ],
    ids=str,
)
def test_moved_anywhere_it_does_not_open(keys: KeyStore, moved: dict[str, Any]) -> None:
    place: dict[str, Any] = {"topic": TEMPLATES, "key": KEY, "field": "vector", "expires": NOON}
    closed = seal(keys, keys.new("person"), b"template", **place)
    with pytest.raises(SealBroken):
        unseal(keys, closed, **(place | moved))


def test_under_another_key_or_altered_it_does_not_open(keys: KeyStore) -> None:
    closed = seal(keys, keys.new("person"), b"template", topic=TEMPLATES, key=KEY, field="vector")
    altered = closed.ciphertext[:-1] + bytes([closed.ciphertext[-1] ^ 1])
    for wrong in (
        Sealed(keys.new("person"), closed.nonce, closed.ciphertext),
        Sealed(closed.kid, closed.nonce, altered),
        Sealed(closed.kid, b"", closed.ciphertext),
        Sealed(closed.kid, closed.nonce, b""),
    ):
        with pytest.raises(SealBroken):
            unseal(keys, wrong, topic=TEMPLATES, key=KEY, field="vector")


def test_once_the_key_is_destroyed_nothing_opens_and_nothing_is_sealed(keys: KeyStore) -> None:
    kid = keys.new("person")
    closed = seal(keys, kid, b"template", topic=TEMPLATES, key=KEY, field="vector")
    keys.destroy([kid])
    with pytest.raises(KeyDestroyed):
        unseal(keys, closed, topic=TEMPLATES, key=KEY, field="vector")
    with pytest.raises(KeyDestroyed):
        seal(keys, kid, b"template", topic=TEMPLATES, key=KEY, field="vector")


def test_a_sealed_field_survives_the_wire_with_its_expiry(keys: KeyStore) -> None:
    """What seals to `expires` must find the same bytes in it after MessagePack, to the microsecond."""
    expires = NOON + seconds(0.123456)
    closed = seal(keys, keys.new("faces"), b"template", topic=FACES, key="f0", field="template", expires=expires)
    wire = encode(FACES, Put("f0", msgspec.structs.replace(face(expires=expires), template=closed)))
    back = decode(FACES, wire.key, wire.value, wire.headers)
    assert isinstance(back, Put)
    told = back.value
    plain = unseal(keys, told.template, topic=FACES, key=told.face_id, field="template", expires=told.expires)
    assert plain == b"template"


def test_no_two_places_are_bound_alike() -> None:
    keys = ["".join(letters) for length in range(4) for letters in itertools.product("a|", repeat=length)]
    places = list(itertools.product(["k0", "k1"], [TEMPLATES, PERSONS], keys, ["name", "vector"], [None, NOON]))
    assert len({associated(kid, topic, key, field, end) for kid, topic, key, field, end in places}) == len(places)
