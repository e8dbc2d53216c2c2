"""DynamicPersonGroups: who of the PersonDirectory belongs to them; they hold nobody of their own."""

from datetime import timedelta

from pipeline.operations import Refused, collections, persons, still_there
from pipeline.operations.client import Client
from pipeline.records import DIRECTORY, ChangeMembers, Operation

# As the contract says, and as `operations` keeps them.
OPERATION_LIFE = timedelta(hours=48)


def members(client: Client, scope: str, *, start: str = "", top: int | None = None) -> list[str]:
    """The personIds of a DynamicPersonGroup in their order; Refused where there is no such group."""
    return client.tables.live.members_of(collections.existing(client, scope).uid, start=start, top=top)


def references(client: Client, person_id: str, *, start: str = "", top: int | None = None) -> list[str]:
    """The ids of the DynamicPersonGroups of a person, in their order; Refused where there is no such person."""
    persons.existing_person(client, DIRECTORY, person_id)
    return [group.id for group in client.tables.live.groups_of(person_id) if group.id > start][:top]


async def change(
    client: Client,
    scope: str,
    *,
    add: tuple[str, ...] = (),
    remove: tuple[str, ...] = (),
    name: str | None = None,
    user_data: str | None = None,
    request_id: str,
) -> None:
    """Let persons join and leave, and rename, all at once; Refused where nothing is given or somebody is unknown."""
    group = collections.existing(client, scope)
    with still_there("DynamicPersonGroupNotFound", f"{scope} was deleted"):
        new_name, new_data = collections.new_words(client, group, name, user_data, needed=not add and not remove)
    command = ChangeMembers(
        **client.heading(scope, request_id), uid=group.uid, add=add, remove=remove, name=new_name, user_data=new_data
    )
    await client.asker.ask(command)


def operation(client: Client, operation_id: str) -> Operation:
    """What came of an earlier request; Refused where nothing is known of it, or no longer."""
    known = client.asker.known(operation_id)
    if known is None or known.finished <= client.clock() - OPERATION_LIFE:
        raise Refused(f"there is no operation {operation_id}; its status is kept for 48 hours", "OperationNotFound")
    return known
