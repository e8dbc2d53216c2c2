"""Wire <-> records. The only file that knows how a change is spelled on Kafka, and how a field is sealed.

Inner topics carry MessagePack, the outward topic JSON with CloudEvents headers; both say their schema version in a
header, so that a reader of an older release refuses what it cannot know instead of guessing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Protocol

import msgspec

from pipeline.changes import Change, Put, Tombstone
from pipeline.records import FrameId, Sealed
from pipeline.topology import Topic

SCHEMA_VERSION = 1
SCHEMA_HEADER = "faceline-schema"
CAUSE_HEADER = "faceline-operation"
VERSION_DIGITS = 9
FOREIGN = "not a record of this topic"

Headers = Iterable[tuple[str, bytes]]


class MalformedError(Exception):
    """This record can never be read; the text names what is wrong and never what the record holds."""


class NewerSchemaError(MalformedError):
    """The record was written by a newer release."""


class Keys(Protocol):
    """What sealing needs of a key store. `KeyDestroyed` and its kin are the store's own errors and pass through."""

    def seal(self, kid: str, plaintext: bytes, associated: bytes) -> tuple[bytes, bytes]: ...

    def open(self, kid: str, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Wire:
    """A record as Kafka takes it."""

    key: bytes
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Received:
    """A record as it was read: its change, where it stood, and when the broker appended it."""

    topic: Topic
    partition: int
    offset: int
    appended_at: datetime
    change: Change[Any]


@dataclass(frozen=True, slots=True)
class Unusable:
    """A record that can never work, and why; its place goes to dead letters, its content nowhere."""

    topic: Topic
    partition: int
    offset: int
    error: str
    frame: FrameId | None = None
    newer: bool = False


class RawRecord(Protocol):
    """A record as a Kafka client hands it over; `timestamp` in milliseconds."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...


def receive(topic: Topic, record: RawRecord) -> Received | Unusable:
    """Read one record of `topic`, or say why it cannot be read."""
    try:
        change = decode(topic, record.key, record.value, record.headers)
    except MalformedError as error:
        newer = isinstance(error, NewerSchemaError)
        return Unusable(topic, record.partition, record.offset, str(error), newer=newer)
    appended_at = datetime.fromtimestamp(record.timestamp / 1000, UTC)
    return Received(topic, record.partition, record.offset, appended_at, change)


@cache
def _decoder(value_type: Any, outward: bool) -> Any:
    return msgspec.json.Decoder(value_type) if outward else msgspec.msgpack.Decoder(value_type)


_pack = msgspec.msgpack.Encoder()
_json = msgspec.json.Encoder()


def encode(topic: Topic, change: Change[Any], headers: Headers = ()) -> Wire:
    """Spell `change` for `topic`; raises ValueError where it exceeds the topic's record size."""
    version = (SCHEMA_HEADER, str(SCHEMA_VERSION).encode())
    key = change.key.encode()
    match change:
        case Tombstone(cause=cause):
            why = () if cause is None else ((CAUSE_HEADER, cause.encode()),)
            return Wire(key, None, (version, *why, *headers))
        case Put(value=value):
            encoded = (_json if topic.outward else _pack).encode(value)
            if len(encoded) > topic.max_bytes:
                raise ValueError(
                    f"a record of {len(encoded)} bytes exceeds the {topic.max_bytes} of topic {topic.name}"
                )
            return Wire(key, encoded, (version, *headers))


def decode(topic: Topic, key: bytes | None, value: bytes | None, headers: Headers) -> Change[Any]:
    """Read a record of `topic`; raises MalformedError, and NewerSchemaError for one of a later release."""
    if not key:
        raise MalformedError("the record has no key")
    try:
        text = key.decode()
    except UnicodeDecodeError as error:
        raise MalformedError("the key is not UTF-8") from error
    if value is None:
        return Tombstone(text, _cause(headers))
    if not value:
        raise MalformedError("the value is empty, which is neither a value nor a tombstone")
    if len(value) > topic.max_bytes:
        raise MalformedError(f"the value of {len(value)} bytes exceeds the {topic.max_bytes} of the topic")
    _check_version(headers)
    try:
        return Put(text, _decoder(topic.value, topic.outward).decode(value))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        # A bare DecodeError may quote bytes.
        reason = _without_content(str(error)) if isinstance(error, msgspec.ValidationError) else FOREIGN
        raise MalformedError(reason) from None


def _cause(headers: Headers) -> str | None:
    # Only told for the record: what is no text here stands in nobody's way.
    return next((value.decode(errors="replace") for name, value in headers if name == CAUSE_HEADER and value), None)


def _without_content(reason: str) -> str:
    """What msgspec says of a field, less the value that it quotes where only some words are allowed."""
    quoting = next((words for words in ("Invalid enum value", "Invalid value") if reason.startswith(words)), None)
    return reason if quoting is None else f"{quoting} - at {reason.rpartition(' - at ')[2]}"


def _check_version(headers: Headers) -> None:
    for name, content in headers:
        if name == SCHEMA_HEADER:
            # Kafka allows null here, and Python refuses to read endless digits.
            if not content or not content.isdigit() or len(content) > VERSION_DIGITS:
                raise MalformedError(f"the header {SCHEMA_HEADER} is not a number")
            if int(content) > SCHEMA_VERSION:
                raise NewerSchemaError(
                    f"schema version {int(content)} is newer than this release's {SCHEMA_VERSION}: upgrade Faceline"
                )
            return
    raise MalformedError(f"the header {SCHEMA_HEADER} is missing")


def associated(kid: str, topic: Topic, key: str, field: str, expires: datetime | None = None) -> bytes:
    """What a ciphertext is bound to: moved to another topic, record, field or expiry, it does not open."""
    end = "" if expires is None else expires.isoformat()
    return "|".join(("v1", topic.name, kid, key, field, end)).encode()


def seal(
    keys: Keys, kid: str, plaintext: bytes, *, topic: Topic, key: str, field: str, expires: datetime | None = None
) -> Sealed:
    """Encrypt one field of the record `key` of `topic`."""
    nonce, ciphertext = keys.seal(kid, plaintext, associated(kid, topic, key, field, expires))
    return Sealed(kid, nonce, ciphertext)


def unseal(keys: Keys, sealed: Sealed, *, topic: Topic, key: str, field: str, expires: datetime | None = None) -> bytes:
    """Decrypt one field; raises the key store's KeyDestroyed or SealBroken."""
    return keys.open(sealed.kid, sealed.nonce, sealed.ciphertext, associated(sealed.kid, topic, key, field, expires))
