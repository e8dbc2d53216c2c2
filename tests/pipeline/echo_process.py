"""The shells at work in processes of their own, on a real Kafka: how tests feed them, end them and hear them."""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from connectors import kafka
from connectors.keystore import wall_clock
from pipeline.changes import Put
from pipeline.codec import Received, encode
from pipeline.records import DeadLetter, Identification
from pipeline.topology import DEAD_LETTERS, FACES, IDENTIFICATIONS
from pipeline.views import Follower
from tests.pipeline.conftest import Cluster
from tests.pipeline.echo import SILENT, face

PATIENCE = 60.0
ECHO = Path(__file__).with_name("echo.py")
ROOT = Path(__file__).parents[2]


class Ear:
    """Everything that was committed to `identifications` and `dead-letters`."""

    def __init__(self, cluster: Cluster) -> None:
        self.told: dict[str, list[Identification]] = {}
        self.letters: list[DeadLetter] = []
        topics = (IDENTIFICATIONS, DEAD_LETTERS)
        self._follower = Follower(
            kafka.consumer(cluster.access), cluster.deployment, topics, self._hear, clock=wall_clock
        )

    async def start(self) -> None:
        await self._follower.start()

    async def stop(self) -> None:
        await self._follower.stop()

    async def until(self, holds: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Listen until it holds; TimeoutError after `seconds`."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                raise TimeoutError(f"heard {len(self.told)} tracks and {len(self.letters)} letters")
            await self._follower.poll(0.1)

    async def until_told(self, names: Iterable[str], seconds: float = PATIENCE) -> None:
        await self.until(lambda: set(names) <= self.told.keys(), seconds)

    async def all_there_is(self) -> None:
        """Listen to everything that is committed at this moment."""
        await self._follower.catch_up()

    @property
    def times(self) -> Counter[int]:
        """How many tracks were told of how often."""
        return Counter(len(tellings) for tellings in self.told.values())

    def _hear(self, received: Received) -> None:
        match received.change:
            case Put(value=Identification() as told):
                self.told.setdefault(told.track_id, []).append(told)
            case Put(value=DeadLetter() as letter):
                self.letters.append(letter)
            case _:  # nobody forgets anything here
                pass


@dataclass
class Stand:
    """A deployment with one echo stage on it, in as many processes as a test starts."""

    shell: str
    cluster: Cluster
    folder: Path
    ear: Ear
    living: list[Process] = field(default_factory=list)

    async def start(self, instance: str = "0") -> Process:
        """Start an instance; it is at work some seconds later."""
        arguments = [self.shell, self.cluster.access.bootstrap, self.cluster.deployment.prefix, instance]
        with self.log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, str(ECHO), *arguments, str(self.folder), cwd=ROOT, stdout=output, stderr=output,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )  # fmt: skip
        self.living.append(process)
        return process

    @property
    def log(self) -> Path:
        return self.folder / "log"

    @property
    def group(self) -> str:
        return self.cluster.deployment.group(SILENT)

    async def feed(self, names: Sequence[str], partition: int | None = None) -> None:
        """Publish a face for each name, to all partitions in turn or to one."""
        async with self._producer() as producer:
            await asyncio.gather(*[await self._send_face(producer, *each, partition) for each in enumerate(names)])

    async def feed_until(self, enough: asyncio.Event) -> list[str]:
        """Publish to all partitions in turn until it is enough; returns the names.

        Some 500 faces a second, but never more than 1,000 that nobody has told of yet: a slow machine has its work too,
        and can be done with it.
        """
        names, sent = list[str](), list[asyncio.Future[Any]]()
        async with self._producer() as producer:
            while not enough.is_set():
                for number in range(len(names), len(names) + 10):
                    if len(names) - len(self.ear.told) < 1_000:
                        names.append(f"face-{number:05}")
                        sent.append(await self._send_face(producer, number, names[-1]))
                await asyncio.sleep(0.02)
            await asyncio.gather(*sent)
        return names

    async def feed_in_transactions(self, names: Sequence[str], partition: int) -> None:
        """Publish a face for each name in a transaction of its own, whose marker follows it."""
        async with self._producer(f"{self.group}-fed") as producer:
            for number, name in enumerate(names):
                async with producer.transaction():
                    await self._send_face(producer, number, name, partition)

    async def put_raw(
        self, partition: int, *records: tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]
    ) -> list[int]:
        """Publish bytes as they are: key, value, headers; returns their offsets."""
        async with self._producer() as producer:
            return [(await (await self._send(producer, partition, *record))).offset for record in records]

    async def keep_up(self, done: Callable[[], bool], seconds: float = PATIENCE, instance: str = "0") -> list[int]:
        """Start the instance again whenever it ends, as a supervisor would, until `done`; its exit statuses."""
        statuses: list[int] = []
        deadline = time.monotonic() + seconds
        process = await self.start(instance)
        while not done():
            with suppress(TimeoutError):
                left = deadline - time.monotonic()
                if left < 0:
                    raise AssertionError(f"not done in {seconds} s after ends with {statuses}: {self.last_words()}")
                await self.ear.until(lambda: done() or self.living[-1].returncode is not None, min(left, 1.0))
            if process.returncode is not None and not done():
                statuses.append(process.returncode)
                process = await self.start(instance)
        return statuses

    def last_words(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    @asynccontextmanager
    async def _producer(self, transactional_id: str | None = None) -> AsyncIterator[Any]:
        producer = kafka.producer(self.cluster.access, transactional_id=transactional_id)
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()

    async def _send_face(
        self, producer: Any, number: int, name: str, partition: int | None = None
    ) -> asyncio.Future[Any]:
        wire = encode(FACES, Put(name, face(name, number)))
        place = number % 4 if partition is None else partition
        return await self._send(producer, place, wire.key, wire.value, list(wire.headers))

    async def _send(
        self,
        producer: Any,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        headers: list[tuple[str, bytes]],
    ) -> asyncio.Future[Any]:
        name = self.cluster.deployment.name(FACES)
        future: asyncio.Future[Any] = await producer.send(
            name, key=key, value=value, headers=headers, partition=partition
        )
        return future


@asynccontextmanager
async def stand(shell: str, cluster: Cluster, folder: Path) -> AsyncIterator[Stand]:
    """A stand whose processes end with the test."""
    ear = Ear(cluster)
    await ear.start()
    made = Stand(shell, cluster, folder, ear)
    try:
        yield made
    finally:
        for process in made.living:
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
            await process.wait()
        await ear.stop()


async def ended(process: Process, seconds: float = PATIENCE) -> int:
    """The exit status; TimeoutError when it goes on."""
    return await asyncio.wait_for(process.wait(), seconds)


def numbered(count: int) -> list[str]:
    """Names of that many faces."""
    return [f"face-{number:05}" for number in range(count)]
