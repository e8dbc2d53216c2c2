"""What receipts say of keys, held against the keys themselves: which are whose, and whether one lives that is gone."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import chain

from connectors.key_rows import KeyRow
from pipeline.operations.erasures import Erased
from pipeline.receipts import MOST_KEYS, destroyed_key, destroyed_keys
from pipeline.views import LiveSet

Many = Mapping[tuple[str, ...], frozenset[str]]


@dataclass(frozen=True, slots=True)
class Receipted:
    """The erasures that are known of, with their keys as far as the store knows these.

    `kids` has the ids of each erasure's keys, of those alone of which the store knows every one; `revived` are keys
    that live although an erasure destroyed them, each with its erasure.
    """

    erased: Sequence[Erased]
    kids: Mapping[str, frozenset[str]]
    revived: Mapping[str, Erased]

    @property
    def unknown(self) -> list[Erased]:
        """Erasures with a fingerprint that fits no key of the store."""
        return [each for each in self.erased if each.id not in self.kids]

    def holding(self, ids: Collection[str]) -> set[str]:
        """The erasures to which one of these ids belongs: as the id of what was erased, or of a key."""
        return {
            each.id
            for each in self.erased
            if each.subject in ids or not self.kids.get(each.id, frozenset()).isdisjoint(ids)
        }


def receipted(
    erased: Sequence[Erased], destroyed: Sequence[KeyRow], living: AbstractSet[str], in_use: AbstractSet[str]
) -> Receipted:
    """Find the keys of every erasure among those that the store calls destroyed, and among those that live there.

    `in_use` are keys with which something is sealed that exists.
    """
    known = {destroyed_key(kid): kid for kid in living | {row.kid for row in destroyed}}
    kids = {
        each.id: frozenset(known[every] for every in each.keys)
        for each in erased
        if all(every in known for every in each.keys)
    }
    others = frozenset[str]().union(*kids.values())
    many = {**_together(destroyed, others), **_of_many(living - in_use - others)}
    kids |= {each.id: many[each.keys] for each in erased if each.id not in kids and each.keys in many}
    revived = {
        kid: each
        for each in erased
        for kid in kids.get(each.id) or (known[every] for every in each.keys if every in known)
        if kid in living
    }
    return Receipted(erased, kids, revived)


def kids_in_use(live: LiveSet) -> frozenset[str]:
    """The ids of the keys of everything that exists."""
    return frozenset(
        chain(
            (each.name.kid for each in live.collections.values()),
            (each.kid for each in live.persons.values()),
            (each.vector.kid for each in live.templates.values()),
        )
    )


def _together(destroyed: Sequence[KeyRow], others: AbstractSet[str]) -> Many:
    """The keys of erasures of which a receipt has one fingerprint for all: they were destroyed in one moment."""
    moments: dict[float | None, set[str]] = defaultdict(set)
    for row in destroyed:
        if row.kid not in others:
            moments[row.destroyed].add(row.kid)
    return {receipt: kids for moment in moments.values() for receipt, kids in _of_many(moment).items()}


def _of_many(kids: AbstractSet[str]) -> Many:
    """Keys by the fingerprint that a receipt has for all, where they are so many."""
    return {destroyed_keys(kids): frozenset(kids)} if len(kids) > MOST_KEYS else {}
