"""Which keys a record is sealed with: read from its structure, or, where it has none that we know, from its bytes."""

import re
from collections.abc import Iterable, Iterator

import msgspec

from pipeline.changes import Put
from pipeline.codec import Headers, MalformedError, decode
from pipeline.records import Sealed
from pipeline.topology import Topic

# A key's id is 128 random bits in hexadecimal.
KEY_ID = re.compile(rb"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")


def key_ids(topic: Topic | None, key: bytes | None, value: bytes | None, headers: Headers) -> Iterable[str]:
    """The ids of the keys that a record of `topic` is sealed with; of what is no record of it, all that may be ids."""
    if value is None:
        return ()
    if topic is not None:
        try:
            change = decode(topic, key, value, headers)
        except MalformedError:
            pass
        else:
            return set(_within(change.value)) if isinstance(change, Put) else ()
    return possible_ids(value)


def possible_ids(content: bytes) -> set[str]:
    """Everything in the bytes that may be a key's id."""
    return {found.decode() for found in KEY_ID.findall(content)}


def _within(value: object) -> Iterator[str]:
    match value:
        case Sealed(kid=kid):
            yield kid
        case msgspec.Struct():
            for name in value.__struct_fields__:
                yield from _within(getattr(value, name))
        case tuple() | list():
            for each in value:
                yield from _within(each)
        case _:
            pass
