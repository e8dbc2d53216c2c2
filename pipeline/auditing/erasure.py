"""One audit from its beginning to its end: first the canary, then everything that is kept, then the canary's end."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from connectors.broker_home import Home as BrokerHome
from connectors.kafka_cluster import ClusterState, observe
from connectors.kafka_segments import broker_of
from connectors.key_rows import KeyRows
from pipeline import wiring
from pipeline.auditing import canary, inventory, keys
from pipeline.auditing.canary import Canary, Folders
from pipeline.auditing.kafka_files import KafkaFiles
from pipeline.auditing.leaving import Leaving
from pipeline.auditing.leftovers import Leftovers
from pipeline.auditing.report import Line, Verdict
from pipeline.erasing.bounds import KEY_STORE, MILVUS, Bound
from pipeline.erasing.encodings import Vector
from pipeline.galleries import Searched
from pipeline.home import Home
from pipeline.operations.client import Client
from pipeline.operations.waiting import enrolled
from pipeline.settings import Settings
from pipeline.settings.keys import FILE
from pipeline.topology import ENROL
from pipeline.wiring.erasing import of_cluster, rebuilt_within
from pipeline.wiring.galleries.milvus import place
from pipeline.wiring.keys import key_provider, key_rows

SEEN_SECONDS = 20.0  # until an enrolled canary stands in every file


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit is given. `kafka_data` are the folders of an operator's broker that runs on this machine.

    `given` are vectors that must be nowhere, by name; `wait` stays until the canary's bounds are over.
    """

    settings: Settings
    home: Home
    kafka_data: Sequence[Path]
    given: Mapping[str, Vector]
    wait: bool

    async def lines(self, client: Client) -> AsyncGenerator[Line, None]:
        """Every line as soon as it is known. Raises what the connectors raise; a canary is deleted in any case."""
        cluster = await observe(wiring.kafka_access(self.settings, self.home))
        bounds = of_cluster(cluster, self.settings.deployment(), rebuilt_every=rebuilt_within(self.settings))
        folders = self._folders(bounds)
        with closing(key_rows(self.settings, self.home)) as rows:
            bird = await self._enrolled(client, rows)
            try:
                visible = self._visible(bird, cluster, folders)
                bird, seen = await self._seen(client, bird, folders, visible)
                for line in await asyncio.to_thread(lambda: list(self._control(bird, seen, folders, visible))):
                    yield line
            finally:
                began = time.monotonic()
                await canary.deleted(client, bird)
            leaving = Leaving(bird, folders, {bound.store: bound for bound in bounds}, began, self.settings.now, seen)
            # At once, for to read everything that is kept takes a while, and that is not the canary's time.
            for line in await leaving.gone():
                yield line
            for line in await asyncio.to_thread(lambda: list(self._kept(cluster, bounds, folders, rows, bird))):
                yield line
            async for line in leaving.lines(wait=self.wait):
                yield line

    def _folders(self, bounds: Sequence[Bound]) -> Folders:
        own = (BrokerHome(self.home.kafka).data,) if self.settings.kafka.bootstrap is None else ()
        data = tuple(self.kafka_data) or own
        return Folders(
            self.home.path,
            KafkaFiles(data, self.settings.deployment(), bounds) if data else None,
            self.home.milvus if self.settings.milvus.uri is None else None,
            self.home.keys if self.settings.keys.store == FILE else None,
        )

    async def _enrolled(self, client: Client, rows: KeyRows) -> Canary:
        def wrapped(kid: str) -> bytes:
            found = rows.wrapped(kid)
            return b"" if found is None else found.wrapped

        recognition = self.settings.recognition()
        dimension = wiring.catalogue().pack(recognition.pack).dimension
        return await canary.enrolled(client, recognition, dimension, wrapped)

    def _visible(self, bird: Canary, cluster: ClusterState, folders: Folders) -> list[str]:
        """The stores in whose files the canary has to be: those that are on this machine."""
        visible = [store for store, there in ((MILVUS, folders.milvus), (KEY_STORE, folders.keys)) if there is not None]
        if folders.kafka is None:
            return visible
        deployment = self.settings.deployment()
        partition = deployment.scale.of_scope(bird.scope)
        brokers = {broker_of(folder) for folder in folders.kafka.data}
        for topic in canary.IN_KAFKA:
            holders = cluster.replicas.get(deployment.name(topic), {}).get(partition, frozenset())
            # A folder that does not say whose it is has to have everything.
            if None in brokers or brokers & holders:
                visible.append(topic.name)
        return visible

    async def _seen(
        self, client: Client, bird: Canary, folders: Folders, visible: Sequence[str]
    ) -> tuple[Canary, set[str]]:
        """The canary as Milvus holds it, and the stores in whose files it was found within 20 s."""
        deployment, pack = self.settings.deployment(), self.settings.recognition().pack
        with closing(wiring.admin(self.settings, self.home)) as admin:
            await enrolled(client, admin, deployment.group(ENROL), bird.scope, deployment)
        collection = place(Searched("persongroup", "", pack))
        with closing(wiring.milvus(self.settings, self.home)) as milvus:
            held = await asyncio.to_thread(milvus.vectors, collection, [bird.face_id])
        bird = canary.as_stored(bird, held.get(bird.face_id))
        deadline, seen = time.monotonic() + SEEN_SECONDS, set[str]()
        while seen != set(visible) and time.monotonic() < deadline:
            missing = [store for store in visible if store not in seen]
            seen |= await asyncio.to_thread(canary.found, bird, folders, missing)
        return bird, seen

    def _control(self, bird: Canary, seen: set[str], folders: Folders, visible: Sequence[str]) -> Iterator[Line]:
        for store in visible:
            found = store in seen
            text = "the living canary is found" if found else "the living canary is not found: nothing else counts here"
            yield Line(check="control", subject=store, verdict=Verdict.PASS if found else Verdict.BLIND, text=text)
        for store, text in _out_of_sight(self.settings, folders, visible):
            yield Line(check="control", subject=store, verdict=Verdict.CANNOT_TELL, text=text)
        yield canary.in_the_clear(bird, folders)

    def _kept(
        self, cluster: ClusterState, bounds: Sequence[Bound], folders: Folders, rows: KeyRows, bird: Canary
    ) -> Iterator[Line]:
        now = self.settings.now()
        destroyed = {row.kid: row.destroyed for row in rows.destroyed() if row.destroyed is not None}
        yield from inventory.lines(cluster, self.settings.deployment(), bounds)
        yield from keys.lines(rows, key_provider(self.settings, self.home))
        if folders.kafka is not None:
            yield from folders.kafka.lines(destroyed, now)
        bound = next(bound for bound in bounds if bound.store == MILVUS)
        data = () if folders.kafka is None else folders.kafka.data
        home = self.home
        # What the canary has left behind is told by itself, where its own time is measured.
        others = {kid: when for kid, when in destroyed.items() if kid != bird.kid}
        yield from Leftovers(home.path, home.milvus, data, home.keys, bound, self.given).lines(others, now)
        text = (
            "memory, swap, snapshots, backups, folders outside of the home (the temporary files of all that `faceline "
            "up` starts are in it), and blocks of the disk that no file holds any more are not looked at"
        )
        yield Line(check="files", subject="elsewhere", verdict=Verdict.CANNOT_TELL, text=text)


def _out_of_sight(settings: Settings, folders: Folders, visible: Sequence[str]) -> Iterator[tuple[str, str]]:
    if folders.kafka is None:
        yield (
            "Kafka",
            "its disks are not ours: give --kafka-data DIR where a broker's folder can be read, on each of them",
        )
    elif away := [topic.name for topic in canary.IN_KAFKA if topic.name not in visible]:
        yield "Kafka", f"the canary's partition of {', '.join(away)} is on other brokers: run the audit there"
    if folders.milvus is None:
        yield MILVUS, "its storage is not ours: deleted vectors leave it by its own compaction and garbage collection"
    if folders.keys is None:
        yield (
            KEY_STORE,
            "a server's files are not ours: what a destroyed row leaves there, the next rotation makes worthless",
        )
    if settings.kafka.bootstrap is not None and settings.kafka.replication > 1:
        yield "replicas", "each broker cleans its own copy: run the audit with --kafka-data on every one"
