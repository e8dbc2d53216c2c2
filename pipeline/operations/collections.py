"""Galleries: create one, list them, forget one with everybody in it."""

from dataclasses import dataclass
from typing import get_args

from pipeline import codec
from pipeline.operations import Refused
from pipeline.operations.client import Client
from pipeline.records import AddCollection, Collection, CollectionKind, DeleteCollection
from pipeline.topology import COLLECTIONS

# The Face API's rule for a caller's own id: 1 to 64 lower-case letters, digits, '-' and '_' (face-contract).
ID_LENGTH = 64
ID_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")
DEFAULT = "largepersongroup/people"
EXISTS = "LargePersonGroupExists"


@dataclass(frozen=True, slots=True)
class Listed:
    """A collection as a list shows it; `name` is None once its key is destroyed."""

    collection: Collection
    name: str | None
    persons: int


def scope_of(text: str) -> str:
    """The scope `kind/id` that a caller means; `people` alone means a LargePersonGroup. Refused where it is neither."""
    kind, given = _parted(text if "/" in text else f"largepersongroup/{text}")
    return f"{kind}/{given}"


def _parted(scope: str) -> tuple[CollectionKind, str]:
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
        raise Refused(f"there is no collection {scope}: make it with `faceline collection add {scope}`", "NotFound")
    return collection


async def add(client: Client, scope: str, *, model: str, name: str, request_id: str) -> str:
    """Create a collection for the templates of `model`; its uid. Refused where the scope is taken."""
    heading = client.heading(scope, request_id)
    if (known := client.asker.outcome(heading["operation_id"])) is not None:
        return str(known.resource)
    kind, given = _parted(scope)
    uid, kid = client.new_id(), client.keys.new("collection")
    sealed = codec.seal(client.keys, kid, name.encode(), topic=COLLECTIONS, key=uid, field="name")
    collection = Collection(uid=uid, kind=kind, id=given, model=model, name=sealed, created=client.clock())
    try:
        outcome = await client.asker.ask(AddCollection(**heading, collection=collection))
    except Refused:
        client.keys.destroy((kid,))
        raise
    return str(outcome.resource)


async def ensure(client: Client, scope: str, *, model: str, request_id: str) -> Collection:
    """The collection of that scope, made where there is none; Refused where it holds another model's templates."""
    if client.tables.live.collection_of(scope) is None:
        try:
            await add(client, scope, model=model, name=scope.partition("/")[2], request_id=request_id)
        except Refused as refusal:
            # Somebody else made it at the same moment: that is as good.
            if refusal.code != EXISTS:
                raise
        await client.catch_up()
    return of_model(existing(client, scope), model)


def of_model(collection: Collection, model: str) -> Collection:
    """The collection itself, if it holds templates of `model`: those of different models never meet."""
    if collection.model != model:
        raise Refused(
            f"the collection {collection.kind}/{collection.id} holds templates of the model {collection.model}, the "
            f"settings say {model}: choose another collection, or the other model"
        )
    return collection


def listed(client: Client) -> list[Listed]:
    """Every collection, in order of its scope."""
    live = client.tables.live
    every = sorted(live.collections.values(), key=lambda each: (each.kind, each.id))
    return [Listed(each, _name(client, each), live.count_of(each.uid)) for each in every]


def _name(client: Client, collection: Collection) -> str | None:
    plain = client.unseal(collection.name, topic=COLLECTIONS, key=collection.uid, field="name")
    return None if plain is None else plain.decode()


async def delete(client: Client, scope: str, *, request_id: str) -> int:
    """Forget a collection and everybody in it; how many records were forgotten. Refused where there is none."""
    outcome = await client.asker.ask(DeleteCollection(**client.heading(scope_of(scope), request_id)))
    return outcome.forgotten
