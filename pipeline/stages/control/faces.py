"""Commands on enrolled faces: add one, give it other userData, forget it."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from pipeline.changes import Change, Put, Tombstone
from pipeline.identifiers import template_key, template_owner
from pipeline.records import (
    DIRECTORY,
    AddFace,
    Collection,
    CollectionKind,
    DeleteFace,
    Person,
    Recognition,
    Template,
    UpdateFace,
)
from pipeline.stages.control.tables import (
    LISTS,
    Consequence,
    RefusedError,
    Tables,
    collection_of,
    no_collection,
    person_of,
)
from pipeline.topology import TEMPLATES, Topic

# Limits of the Face service (face-contract 1.6 to 1.10); in the PersonDirectory it counts for each recognition model.
FACES_PER_PERSON = 248
FACES_IN: dict[CollectionKind, int] = {"facelist": 1_000, "largefacelist": 1_000_000}


def put(template: Template) -> tuple[Topic, Change[object]]:
    """The change that makes a template the last word about its key."""
    return TEMPLATES, Put(template_key(template_owner(template), template.persisted_face_id), template)


def add(state: Tables, command: AddFace) -> Consequence:
    """Add a template to its person, or to its face list."""
    template = command.template
    if template.person_id is None:
        _check_listed(state, command.scope, template)
    else:
        check_templates(state, command.scope, person_of(state, command.scope, template.person_id), [template])
    return Consequence([put(template)], template.persisted_face_id)


def update(state: Tables, command: UpdateFace) -> Consequence:
    """Put new userData in the place of old."""
    template = _existing(state, command.scope, command.person_id, command.persisted_face_id)
    if command.user_data.kid != template.vector.kid:
        raise RefusedError("BadArgument", "the userData are not sealed with the key of their face")
    return Consequence(
        [put(msgspec.structs.replace(template, user_data=command.user_data))], template.persisted_face_id
    )


def forget(state: Tables, command: DeleteFace) -> Consequence:
    """Forget one template. The key of a person's is the person's and lives on; a listed face's own is destroyed."""
    template = _existing(state, command.scope, command.person_id, command.persisted_face_id)
    destroyed = (template.vector.kid,) if template.person_id is None else ()
    key = template_key(template_owner(template), template.persisted_face_id)
    return Consequence([(TEMPLATES, Tombstone(key))], template.persisted_face_id, destroyed, "face")


def check_templates(state: Tables, scope: str, person: Person, templates: Sequence[Template]) -> None:
    """RefusedError unless a person may have these templates as well."""
    in_directory = person.collection == DIRECTORY
    collection = None if in_directory else state.live.collections[person.collection]
    have: Counter[Recognition | None] = Counter(
        each.recognition if in_directory else None for each in state.live.templates_of(person.person_id)
    )
    have.update(each.recognition if in_directory else None for each in templates)
    if any(count > FACES_PER_PERSON for count in have.values()):
        raise RefusedError("QuotaExceeded", f"a person has at most {FACES_PER_PERSON} faces")
    for template in templates:
        if collection is not None:
            _check_recognition(collection, template)
        kind = DIRECTORY if collection is None else collection.kind
        if (template.person_id, template.collection, template.kind) != (person.person_id, person.collection, kind):
            raise RefusedError("BadArgument", f"the template is not one of person {person.person_id}")
        if template.vector.kid != person.kid:
            raise RefusedError("BadArgument", "the template is not sealed with its person's key")


def _check_listed(state: Tables, scope: str, template: Template) -> None:
    collection = collection_of(state, scope)
    if template.collection != collection.uid:
        raise RefusedError(*no_collection(scope))
    if collection.kind not in LISTS or template.kind != collection.kind:
        raise RefusedError("BadArgument", f"the template is not one of {scope}")
    if state.live.face_count_of(collection.uid) >= FACES_IN[collection.kind]:
        raise RefusedError("QuotaExceeded", f"a {collection.kind} has at most {FACES_IN[collection.kind]} faces")
    _check_recognition(collection, template)


def _check_recognition(collection: Collection, template: Template) -> None:
    if template.recognition != collection.recognition:
        raise RefusedError("BadArgument", "'recognitionModel' is incompatible.")


def _existing(state: Tables, scope: str, person_id: str | None, face: str) -> Template:
    if person_id is None:
        owner, whose = collection_of(state, scope).uid, scope
    else:
        owner, whose = person_of(state, scope, person_id).person_id, f"person {person_id}"
    template = state.live.templates.get(template_key(owner, face))
    if template is None:
        raise RefusedError("PersistedFaceNotFound", f"{whose} has no face {face}")
    return template
