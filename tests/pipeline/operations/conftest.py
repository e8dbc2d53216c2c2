"""A deployment in memory: a log that `control` itself works on, keys in a dict, and a client as the wiring makes it."""

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline import codec
from pipeline.changes import Change
from pipeline.codec import Received
from pipeline.operations.ask import Asker
from pipeline.operations.client import Client, Tables
from pipeline.records import Sealed
from pipeline.stages.contract import DestroyKeys, Emit
from pipeline.stages.control import Control
from pipeline.stages.erase import Erase
from pipeline.topology import COMMANDS, OPERATIONS, Deployment, Topic
from pipeline.views import LiveSet
from tests.pipeline.receipts.signing import SIGNER

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class MemoryKeys:
    """A key store whose ciphertext is bound to its key and its place, and readable to nobody else."""

    def __init__(self) -> None:
        self.alive: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self._made = 0

    def new(self, owner_kind: str, expires: datetime | None = None) -> str:
        self._made += 1
        kid = f"kid-{self._made}"
        self.alive[kid] = owner_kind
        return kid

    def named(self, name: str, expires: datetime) -> str:
        if name not in self.names:
            self.names[name] = self.new("named", expires)
        return self.names[name]

    def destroy(self, kids: Iterable[str]) -> None:
        for kid in kids:
            self.alive.pop(kid, None)

    def _mask(self, kid: str, associated: bytes, length: int) -> bytes:
        assert kid in self.alive
        return hashlib.shake_256(kid.encode() + associated).digest(length)

    def seal(self, kid: str, plaintext: bytes, associated: bytes) -> tuple[bytes, bytes]:
        mask = self._mask(kid, associated, len(plaintext))
        return b"nonce", bytes(a ^ b for a, b in zip(plaintext, mask, strict=True))

    def open(self, kid: str, nonce: bytes, ciphertext: bytes, associated: bytes) -> bytes:
        return self.seal(kid, ciphertext, associated)[1]

    def unseal(self, sealed: Sealed, *, topic: Topic, key: str, field: str) -> bytes | None:
        if sealed.kid not in self.alive:
            return None
        return codec.unseal(self, sealed, topic=topic, key=key, field=field)


@dataclass
class MemoryControl:
    """The broker and the control stage behind it: what is sent to `commands` is carried out when the loop is free."""

    deployment: Deployment
    keys: MemoryKeys
    hear: Callable[[Received], None] = lambda _: None
    down: bool = False
    sent: list[tuple[str, int | None, Any]] = field(default_factory=list)
    written: list[Received] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stage = Control()
        self._state = self._stage.begin()
        # No faces, so no partition that anybody would have to wait for.
        self._erase = Erase(0, LiveSet(), SIGNER, tuple)
        self._erasing = self._erase.begin()

    async def send_and_wait(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: Any = None,
    ) -> None:
        change = codec.decode(COMMANDS, key, value, headers)
        self.sent.append((topic, partition, change))
        if not self.down:
            asyncio.get_running_loop().call_soon(self._carry_out, change)

    def _carry_out(self, change: Change[Any]) -> None:
        received = Received(COMMANDS, 0, len(self.sent), NOW, change)
        self._state, outputs = self._stage.step(self._state, self._stage.prepare([received]), NOW)
        for output in outputs:
            match output:
                case DestroyKeys(kids=kids):
                    self.keys.destroy(kids)
                case Emit():
                    self._write(output)
                case _:
                    pytest.fail(f"control asks for {type(output).__name__}, which a command never causes")

    def _write(self, output: Emit) -> None:
        wire = codec.encode(output.topic, output.change)
        again = codec.decode(output.topic, wire.key, wire.value, wire.headers)
        told = Received(output.topic, 0, len(self.written), NOW, again)
        self.written.append(told)
        self.hear(told)
        self._erase.follow(told)
        if told.topic is OPERATIONS:
            self._erasing = self._erase.replay(self._erasing, told)
            self._erasing, outputs, _ = self._erase.tick(self._erasing, NOW)
            for each in outputs:
                if isinstance(each, Emit):
                    self._write(each)


@dataclass
class World:
    """All of it, for one test."""

    client: Client
    control: MemoryControl
    keys: MemoryKeys
    tables: Tables


@pytest.fixture
def world() -> World:
    return make_world()


def make_world(timeout: float = 5.0) -> World:
    keys = MemoryKeys()
    deployment = Deployment()
    control = MemoryControl(deployment, keys)
    asker, tables = Asker(control, deployment, timeout=timeout), Tables()

    def hear(received: Received) -> None:
        asker.apply(received)
        tables.apply(received)

    control.hear = hear
    ids: Iterator[str] = (f"id-{number}" for number in range(1_000_000))

    async def caught_up() -> None:
        await asyncio.sleep(0)

    client = Client(
        principal="operator/test",
        asker=asker,
        tables=tables,
        keys=keys,
        unseal=keys.unseal,
        catch_up=caught_up,
        clock=lambda: NOW,
        new_id=lambda: next(ids),
    )
    return World(client, control, keys, tables)
