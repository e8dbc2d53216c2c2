"""Galleries: create one, list them, rename one, forget one with everybody in it."""

from dataclasses import dataclass
from typing import get_args

from pipeline.operations import Refused, still_there, words
from pipeline.operations.client import Client
from pipeline.records import (
    DIRECTORY,
    KIND_WORDS,
    AddCollection,
    Collection,
    CollectionKind,
    DeleteCollection,
    Operation,
    Recognition,
    Sealed,
    UpdateCollection,
)
from pipeline.topology import COLLECTIONS

# The Face API's rule for a caller's own id: 1 to 64 lower-case letters, digits, '-' and '_' (face-contract).
ID_LENGTH = 64
ID_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")
DEFAULT = "largepersongroup/people"
EXISTS = "LargePersonGroupExists"


@dataclass(frozen=True, slots=True)
class Shown:
    """A collection with its words in the clear; they are None once its key is destroyed."""

    collection: Collection
    name: str | None
    user_data: str | None
    persons: int


def scope_of(text: str) -> str:
    """The scope `kind/id` that a caller means; `people` alone means a LargePersonGroup. Refused where it is neither."""
    kind, given = parted(text if "/" in text else f"largepersongroup/{text}")
    return f"{kind}/{given}"


def gallery_of(text: str) -> str:
    """The scope where persons are enrolled: the PersonDirectory for `directory`, else as `scope_of`."""
    return DIRECTORY if text == DIRECTORY else scope_of(text)


def parted(scope: str) -> tuple[CollectionKind, str]:
    """Kind and id of a scope `kind/id`; Refused where it is none."""
    written, _, given = scope.partition("/")
    kinds: tuple[CollectionKind, ...] = get_args(CollectionKind)
    kind = next((kind for kind in kinds if kind == written), None)
    if kind is None:
        raise Refused(f"{scope!r} is no collection: give ID or KIND/ID, where KIND is {' or '.join(kinds)}")
    if not 1 <= len(given) <= ID_LENGTH or not ID_LETTERS.issuperset(given):
        raise Refused(f"{given!r} is no id: give 1 to {ID_LENGTH} of a-z, 0-9, - and _")
    return kind, given


def existing(client: Client, scope: str) -> Collection:
    """The collection of that scope, as far as the tables have come; Refused where there is none."""
    collection = client.tables.live.collection_of(scope)
    if collection is None:
        kind, _ = parted(scope)
        raise Refused(
            f"there is no collection {scope}: make it with `faceline collection add {scope}`",
            f"{KIND_WORDS[kind]}NotFound",
        )
    return collection


def shown(client: Client, scope: str) -> Shown:
    """A collection with its words; Refused where there is none."""
    return _shown(client, existing(client, scope))


def listed(
    client: Client, kind: CollectionKind | None = None, *, start: str = "", top: int | None = None
) -> list[Shown]:
    """Collections of a kind in order of their ids, at most `top` of those behind `start`; of every kind for None."""
    kinds: tuple[CollectionKind, ...] = get_args(CollectionKind) if kind is None else (kind,)
    live = client.tables.live
    every = [each for one in sorted(kinds) for each in live.collections_of(one, start=start, top=top)]
    return [_shown(client, each) for each in every]


async def add(
    client: Client,
    scope: str,
    *,
    recognition: Recognition | None,
    name: str,
    user_data: str | None = None,
    members: tuple[str, ...] = (),
    request_id: str,
) -> str:
    """Create a collection for the templates of a recognition model; its uid. Refused where the scope is taken.

    A DynamicPersonGroup has no recognition model, and takes members: personIds of the PersonDirectory.
    """
    heading = client.heading(scope, request_id)
    if (known := client.asker.outcome(heading["operation_id"])) is not None:
        return str(known.resource)
    kind, given = parted(scope)
    name, user_data = words.checked_name(name), words.checked(user_data, "userData", words.USER_DATA)
    uid, kid = client.new_id(), await client.drawn_key("collection")
    collection = Collection(
        uid=uid,
        kind=kind,
        id=given,
        recognition=recognition,
        name=words.seal(client, kid, name, topic=COLLECTIONS, key=uid, field="name"),
        user_data=words.seal(client, kid, user_data, topic=COLLECTIONS, key=uid, field="userData"),
        created=client.clock(),
    )
    return await client.ask_with_key(AddCollection(**heading, collection=collection, members=members), kid, uid)


async def ensure(client: Client, scope: str, *, recognition: Recognition, request_id: str) -> Collection:
    """The collection of that scope, made where there is none; Refused where it holds another model's templates."""
    if client.tables.live.collection_of(scope) is None:
        try:
            await add(client, scope, recognition=recognition, name=parted(scope)[1], request_id=request_id)
        except Refused as refusal:
            # Somebody else made it at the same moment: that is as good.
            if refusal.code != EXISTS:
                raise
        await client.catch_up()
    return for_recognition(existing(client, scope), recognition)


def for_recognition(collection: Collection, recognition: Recognition) -> Collection:
    """The collection itself, if it holds templates of that model: those of different models never meet."""
    held = collection.recognition
    if held != recognition:
        model = "no model" if held is None else f"the model {held.pack} as {held.name}"
        raise Refused(
            f"the collection {collection.kind}/{collection.id} holds templates of {model}, the settings say "
            f"{recognition.pack} as {recognition.name}: choose another collection, or the other model"
        )
    return collection


async def update(
    client: Client, scope: str, *, name: str | None = None, user_data: str | None = None, request_id: str
) -> None:
    """Give a collection another name or other userData; what is not given stays. Refused where neither is."""
    collection = existing(client, scope)
    with still_there(f"{KIND_WORDS[collection.kind]}NotFound", f"{scope} was deleted"):
        new_name, new_data = new_words(client, collection, name, user_data)
    command = UpdateCollection(
        **client.heading(scope, request_id), uid=collection.uid, name=new_name, user_data=new_data
    )
    await client.asker.ask(command)


def new_words(
    client: Client, collection: Collection, name: str | None, user_data: str | None, *, needed: bool = True
) -> tuple[Sealed | None, Sealed | None]:
    """A new name and new userData, sealed for the collection; Refused where one is `needed` and neither is given."""
    if needed and not name and not user_data:
        raise Refused("'name' and 'userData' are both empty: give one of them")
    kid, uid = collection.name.kid, collection.uid
    data = words.checked(user_data, "userData", words.USER_DATA)
    return (
        words.seal(client, kid, name and words.checked_name(name), topic=COLLECTIONS, key=uid, field="name"),
        words.seal(client, kid, data, topic=COLLECTIONS, key=uid, field="userData"),
    )


async def delete(client: Client, scope: str, *, request_id: str) -> Operation:
    """Forget a collection and everybody in it; what came of it. Refused where there is none."""
    return await client.asker.ask(DeleteCollection(**client.heading(scope_of(scope), request_id)))


def _shown(client: Client, collection: Collection) -> Shown:
    uid = collection.uid
    return Shown(
        collection,
        words.opened(client, collection.name, topic=COLLECTIONS, key=uid, field="name"),
        words.opened(client, collection.user_data, topic=COLLECTIONS, key=uid, field="userData"),
        client.tables.live.count_of(uid),
    )
