"""What control knows, and what an accepted or a refused command comes to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pipeline.changes import Change
from pipeline.records import DIRECTORY, KIND_WORDS, Collection, CollectionKind, ErasedKind, Person
from pipeline.topology import Topic
from pipeline.views import LiveSet

LISTS: frozenset[CollectionKind] = frozenset({"facelist", "largefacelist"})
GROUPS: frozenset[CollectionKind] = frozenset({"persongroup", "largepersongroup"})


@dataclass(slots=True)
class Tables:
    """One partition of the tables, and the outcomes already given. Handed from step to step; changed in place."""

    live: LiveSet = field(default_factory=LiveSet)
    outcomes: dict[str, datetime] = field(default_factory=dict)
    # Collections that are forgotten portion by portion, by uid, and the operations that want it.
    leaving: dict[str, str] = field(default_factory=dict)


class RefusedError(Exception):
    """The command cannot be carried out: a code of the Face service, and a sentence without anybody's words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Leaving:
    """All that goes with a collection: how many records of each topic, and which keys."""

    counts: Mapping[str, int]
    kids: Sequence[str]


@dataclass(frozen=True, slots=True)
class Consequence:
    """What an accepted command causes; the keys are destroyed before any of the changes is written.

    With `erased`, the tables forget `resource`, and the command is done when nobody can name it any more. With
    `leaving`, the changes and the keys are the first portion of that.
    """

    changes: Sequence[tuple[Topic, Change[object]]]
    resource: str
    destroyed: tuple[str, ...] = ()
    erased: ErasedKind | None = None
    leaving: Leaving | None = None


def collection_of(state: Tables, scope: str) -> Collection:
    """The collection that `scope` names; RefusedError where there is none."""
    collection = state.live.collection_of(scope)
    if collection is None:
        raise RefusedError(*no_collection(scope))
    return collection


def same_collection(state: Tables, scope: str, uid: str) -> Collection:
    """The collection that `scope` names, if it is still the one that the asker saw."""
    collection = collection_of(state, scope)
    if collection.uid != uid:
        raise RefusedError(*no_collection(scope))
    return collection


def no_collection(scope: str) -> tuple[str, str]:
    """Code and sentence for a collection that is not there."""
    code = next((code for kind, code in KIND_WORDS.items() if kind == scope.partition("/")[0]), "LargePersonGroup")
    return f"{code}NotFound", f"there is no collection {scope}"


def gallery_of(state: Tables, scope: str) -> str:
    """The uid under which the persons of `scope` are enrolled; RefusedError where there is no such gallery."""
    return DIRECTORY if scope == DIRECTORY else collection_of(state, scope).uid


def person_of(state: Tables, scope: str, person_id: str) -> Person:
    """A person of the collection or directory that `scope` names; RefusedError where there is none."""
    person = state.live.persons.get(person_id)
    if person is None or person.collection != gallery_of(state, scope):
        raise RefusedError("PersonNotFound", f"{scope} has no person {person_id}")
    return person
