"""The live set: who exists, as the tables say. It decides who may be named."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, get_args

from sortedcontainers import SortedSet  # type: ignore[import-untyped]

from pipeline.changes import Change, Put, applied
from pipeline.codec import Received
from pipeline.identifiers import template_key, template_owner
from pipeline.records import DIRECTORY, Collection, CollectionKind, Membership, Person, Template
from pipeline.topology import COLLECTIONS, MEMBERSHIPS, PERSONS, TEMPLATES, Topic


class LiveSet:
    """Collections by uid, persons by personId, templates by `identifiers.template_key`, and who belongs to what.

    Ids of a whole collection are kept in their order, because they are listed page by page.
    """

    def __init__(self) -> None:
        self.collections: dict[str, Collection] = {}
        self.persons: dict[str, Person] = {}
        self.templates: dict[str, Template] = {}
        self._memberships: dict[str, Membership] = {}
        self._by_name: dict[str, Collection] = {}
        self._ids: dict[CollectionKind, SortedSet] = {kind: SortedSet() for kind in get_args(CollectionKind)}
        self._persons: dict[str, SortedSet] = defaultdict(SortedSet)
        self._faces: dict[str, set[str]] = {}
        self._members: dict[str, SortedSet] = defaultdict(SortedSet)
        self._groups: dict[str, set[str]] = defaultdict(set)
        self._told: list[Callable[[Change[Template]], None]] = []

    def hear_templates(self, told: Callable[[Change[Template]], None]) -> None:
        """Have `told` hear every change of `templates` from now on, once the set has taken it into account."""
        self._told.append(told)

    def apply(self, received: Received) -> None:
        """Bring the set up to date with one record of a table; those of other topics are not for us."""
        self.apply_change(received.topic, received.change)

    def apply_change(self, topic: Topic, change: Change[Any]) -> None:
        if topic is COLLECTIONS:
            applied(self.collections, change, forgotten=self._forget_collection)
            if isinstance(change, Put):
                self._by_name[f"{change.value.kind}/{change.value.id}"] = change.value
                self._ids[change.value.kind].add(change.value.id)
        elif topic is PERSONS:
            applied(self.persons, change, forgotten=lambda old: _discard(self._persons, old.collection, old.person_id))
            if isinstance(change, Put):
                self._persons[change.value.collection].add(change.key)
        elif topic is TEMPLATES:
            applied(self.templates, change, forgotten=self._forget_template)
            if isinstance(change, Put):
                self._learn_template(change.value)
            for told in self._told:
                told(change)
        elif topic is MEMBERSHIPS:
            applied(self._memberships, change, forgotten=self._forget_membership)
            if isinstance(change, Put):
                self._members[change.value.collection].add(change.value.person_id)
                self._groups[change.value.person_id].add(change.value.collection)

    def _forget_collection(self, old: Collection) -> None:
        scope = f"{old.kind}/{old.id}"
        # A repeated tombstone of the old one leaves the new one alone.
        if self._by_name.get(scope) is old:
            del self._by_name[scope]
            self._ids[old.kind].discard(old.id)

    def _learn_template(self, template: Template) -> None:
        owner = template_owner(template)
        if owner not in self._faces:
            self._faces[owner] = SortedSet() if template.person_id is None else set()
        self._faces[owner].add(template.persisted_face_id)

    def _forget_template(self, old: Template) -> None:
        _discard(self._faces, template_owner(old), old.persisted_face_id)

    def _forget_membership(self, old: Membership) -> None:
        _discard(self._members, old.collection, old.person_id)
        _discard(self._groups, old.person_id, old.collection)

    def collection_of(self, scope: str) -> Collection | None:
        """The collection that a caller names `kind/id`."""
        return self._by_name.get(scope)

    def collections_of(self, kind: CollectionKind, *, start: str = "", top: int | None = None) -> list[Collection]:
        """Collections of a kind in order of their ids; at most `top`, of those behind `start`."""
        return [self._by_name[f"{kind}/{given}"] for given in _page(self._ids[kind], start, top)]

    def persons_of(self, uid: str, *, start: str = "", top: int | None = None) -> list[Person]:
        """The persons of a collection, or of the PersonDirectory, in order of their ids; paged like collections."""
        return [self.persons[person] for person in _page(self._persons.get(uid, ()), start, top)]

    def count_of(self, uid: str) -> int:
        """How many persons a collection has."""
        return len(self._persons.get(uid, ()))

    def faces_of(self, owner: str, *, start: str = "", top: int | None = None) -> list[str]:
        """The persistedFaceIds of a person, or of a face list (its uid), in their order; paged like collections."""
        return _page(self._faces.get(owner, ()), start, top)

    def face_count_of(self, owner: str) -> int:
        """How many templates a person or a face list has."""
        return len(self._faces.get(owner, ()))

    def templates_of(self, owner: str) -> list[Template]:
        """The templates of a person, or of a face list."""
        return [self.templates[template_key(owner, face)] for face in self._faces.get(owner, ())]

    def members_of(self, uid: str, *, start: str = "", top: int | None = None) -> list[str]:
        """The personIds of a DynamicPersonGroup in their order; paged like collections."""
        return _page(self._members.get(uid, ()), start, top)

    def is_member(self, uid: str, person: str) -> bool:
        """Whether a person belongs to a DynamicPersonGroup."""
        return person in self._members.get(uid, ())

    def groups_of(self, person: str) -> list[Collection]:
        """The DynamicPersonGroups of a person, in order of their ids."""
        known = [self.collections[uid] for uid in self._groups.get(person, ()) if uid in self.collections]
        return sorted(known, key=lambda each: each.id)

    def may_name(self, *, collection: str, person: str, persisted_face_id: str, kid: str) -> bool:
        """Whether a proposed match rests on a collection, a person and a template that all live, under the same key."""
        someone = self.persons.get(person)
        template = self.templates.get(template_key(person, persisted_face_id))
        return (
            (collection in self.collections or collection == DIRECTORY)
            and someone is not None
            and someone.collection == collection
            and someone.kid == kid
            and template is not None
            and template.vector.kid == kid
        )

    def may_show(self, *, collection: str, persisted_face_id: str, kid: str) -> bool:
        """Whether a proposed match in a face list rests on a list and a template that live, under the same key."""
        template = self.templates.get(template_key(collection, persisted_face_id))
        return collection in self.collections and template is not None and template.vector.kid == kid


def _discard(sets: dict[str, Any], owner: str, member: str) -> None:
    if owner in sets:
        sets[owner].discard(member)
        if not sets[owner]:
            del sets[owner]


def _page(ids: Iterable[str], start: str, top: int | None) -> list[str]:
    if isinstance(ids, SortedSet):
        return list(islice(ids.irange(start, inclusive=(False, True)), top))
    # At most the 248 faces of a person.
    return sorted(each for each in ids if each > start)[:top]
