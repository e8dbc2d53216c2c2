"""A client of `control`: who asks, what exists, which keys seal, and the view that hears the outcomes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol, TypedDict

from pipeline import codec
from pipeline.codec import Received
from pipeline.identifiers import operation_id
from pipeline.operations import Refused
from pipeline.operations.ask import Asker
from pipeline.records import AnyCommand, Person, Sealed
from pipeline.topology import OPERATIONS, PERSONS, TABLES, TEMPLATES, Topic
from pipeline.views import LiveSet


class DataKeys(codec.Keys, Protocol):
    """What operations need of the key store; `seal` raises Forgotten where the key is destroyed."""

    def new(self, owner_kind: str, expires: datetime | None = None) -> str:
        """Create a data key; its kid."""
        ...

    def destroy(self, kids: Iterable[str]) -> None:
        """Destroy data keys at once; those that are gone already are none of its business."""
        ...


class Unseal(Protocol):
    """Open one field of a record; None once its key is destroyed."""

    def __call__(self, sealed: Sealed, *, topic: Topic, key: str, field: str) -> bytes | None: ...


class Following(Protocol):
    """What a client needs of `views.Follower`."""

    async def start(self) -> None: ...
    async def run(self) -> None: ...
    async def catch_up(self) -> None: ...
    async def stop(self) -> None: ...


class Heading(TypedDict):
    """The fields that every command has."""

    operation_id: str
    principal: str
    requested_at: datetime
    scope: str


@dataclass(slots=True)
class Tables:
    """The live set, and how far the view of `templates` has come: the offset of the newest record per partition."""

    live: LiveSet = field(default_factory=LiveSet)
    templates_seen: dict[int, int] = field(default_factory=dict)

    def apply(self, received: Received) -> None:
        self.live.apply(received)
        if received.topic is TEMPLATES:
            self.templates_seen[received.partition] = received.offset


@dataclass(frozen=True, slots=True)
class Client:
    """What every operation is given. `catch_up` waits until the tables show everything that was acknowledged before."""

    principal: str
    asker: Asker
    tables: Tables
    keys: DataKeys
    unseal: Unseal
    catch_up: Callable[[], Awaitable[None]]
    clock: Callable[[], datetime]
    new_id: Callable[[], str]

    def heading(self, scope: str, request_id: str) -> Heading:
        """The heading of a command; the same request of the same principal is the same operation."""
        return Heading(
            operation_id=self.operation_id(request_id),
            principal=self.principal,
            requested_at=self.clock(),
            scope=scope,
        )

    def for_principal(self, principal: str) -> "Client":
        """The same client, as somebody else asks through it."""
        return replace(self, principal=principal)

    def operation_id(self, request_id: str) -> str:
        """The id under which the outcome of a request is found."""
        return operation_id(self.principal, request_id)

    async def drawn_key(self, owner_kind: str) -> str:
        """A fresh data key; its kid. Not on the event loop: it is durable before it is used."""
        return await asyncio.to_thread(self.keys.new, owner_kind)

    async def ask_with_key(self, command: AnyCommand, kid: str, resource: str) -> str:
        """Have a command carried out that makes `resource`, sealed with the fresh key `kid`; what was made.

        The key is destroyed when the command is refused, and when an earlier try of the same request had made
        something else. When nobody answers (Unanswered) it stays: the command may yet be carried out.
        """
        try:
            made = str((await self.asker.ask(command)).resource)
        except Refused:
            await asyncio.to_thread(self.keys.destroy, (kid,))
            raise
        if made != resource:
            await asyncio.to_thread(self.keys.destroy, (kid,))
        return made

    def name_of(self, person: Person) -> str | None:
        """A person's name in the clear; None once the person's key is destroyed."""
        plain = self.unseal(person.name, topic=PERSONS, key=person.person_id, field="name")
        return None if plain is None else plain.decode()


FOLLOWED = (OPERATIONS, *TABLES)


@asynccontextmanager
async def followed(
    asker: Asker, tables: Tables, follow: Callable[[Sequence[Topic], Callable[[Received], None]], Following]
) -> AsyncIterator[Following]:
    """Keep the asker and the tables current while the block runs; entering it replays both to their ends."""

    def on_change(received: Received) -> None:
        asker.apply(received)
        tables.apply(received)

    following = follow(FOLLOWED, on_change)
    try:
        await following.start()
        running = asyncio.create_task(following.run())
        running.add_done_callback(lambda task: None if task.cancelled() else _tell(asker, task))
        try:
            yield following
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
    finally:
        await following.stop()


def _tell(asker: Asker, ended: asyncio.Task[None]) -> None:
    asker.fail(ended.exception() or RuntimeError("the view of the operations ended by itself"))
