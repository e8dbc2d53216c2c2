"""What must not be in a record any more: the ids of destroyed keys, and the ids of whoever was erased."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from connectors.kafka_segments import StoredRecord, Unread
from pipeline.erasing.bounds import PERSONAL
from pipeline.erasing.sealed import key_ids, possible_ids
from pipeline.erasing.search import Needle, Search
from pipeline.topology import FACES, FRAMES, Topic

# A frame or a face that a camera saw names nobody, and no erasure's key seals it.
NAMING = frozenset(topic.name for topic in PERSONAL if topic not in (FRAMES, FACES))
# What an erasure is about has a UUID. It stands as it is in MessagePack as in JSON, and in the key of a record.
SUBJECT = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def is_sought(subject: str) -> bool:
    """Whether the id of what was erased is of the kind that is searched for."""
    return SUBJECT.fullmatch(subject.encode()) is not None


@dataclass(frozen=True, slots=True)
class Sought:
    """Since when each is gone, in seconds since 1970: keys by their ids, `subjects` by the id of what was erased."""

    keys: Mapping[str, float]
    subjects: Mapping[str, float]

    def since(self, name: str) -> float:
        """When the bound of this id began."""
        return self.keys[name] if name in self.keys else self.subjects[name]

    def within(self, topic: Topic | None, record: StoredRecord | Unread) -> set[str]:
        """Those of the ids that the record has."""
        return (keys_of(topic, record) & self.keys.keys()) | (named_by(topic, record) & self.subjects.keys())


def search_of(ids: Iterable[str]) -> Search:
    """A search for such ids as bytes."""
    return Search([Needle(each, each.encode()) for each in ids])


def keys_of(topic: Topic | None, record: StoredRecord | Unread) -> set[str]:
    """The ids of the keys that a record is sealed with; of what cannot be read, all that may be one."""
    if isinstance(record, Unread):
        return possible_ids(record.content)
    return set(key_ids(topic, record.key, record.value, ((name, value or b"") for name, value in record.headers)))


def named_by(topic: Topic | None, record: StoredRecord | Unread) -> set[str]:
    """Whatever a record of a topic that names somebody names; a tombstone only says that its key is gone."""
    if topic is None or topic.name not in NAMING:
        return set()
    if isinstance(record, Unread):
        content = record.content
    elif record.value is None:
        return set()
    else:
        content = b"\0".join((record.key or b"", record.value, *(value or b"" for _, value in record.headers)))
    return {found.decode() for found in SUBJECT.findall(content)}
