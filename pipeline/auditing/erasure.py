"""One audit from its beginning to its end: first the canary, then everything that is kept, then the canary's end."""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from connectors.broker_home import Home as BrokerHome
from connectors.kafka_cluster import ClusterState, observe
from connectors.key_rows import KeyRows
from pipeline import wiring
from pipeline.auditing import canary, control, coverage, inventory, living
from pipeline.auditing.canary import Canary, Folders
from pipeline.auditing.control import Place
from pipeline.auditing.evidence import Evidence
from pipeline.auditing.kafka_files import KafkaFiles
from pipeline.auditing.kept import Kept
from pipeline.auditing.leaving import Leaving
from pipeline.auditing.receipted import kids_in_use
from pipeline.auditing.report import Line
from pipeline.erasing.bounds import Bound
from pipeline.erasing.encodings import Vector
from pipeline.galleries import Searched
from pipeline.home import Home
from pipeline.operations.client import Client
from pipeline.operations.waiting import enrolled
from pipeline.settings import Settings
from pipeline.settings.keys import FILE
from pipeline.topology import ENROL
from pipeline.wiring.asking import everything_told
from pipeline.wiring.erasing import of_cluster, rebuilt_within
from pipeline.wiring.galleries.milvus import place
from pipeline.wiring.keys import key_rows
from pipeline.wiring.receipts import erasures

SEEN_SECONDS = 20.0  # until an enrolled canary stands in every file


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit is given. `kafka_data` are the folders of an operator's broker that runs on this machine.

    `given` are vectors that must be nowhere, by name; `wait` stays until the canary's bounds are over. `evidence` is
    filled by the way.
    """

    settings: Settings
    home: Home
    kafka_data: Sequence[Path]
    given: Mapping[str, Vector]
    wait: bool
    evidence: Evidence = field(default_factory=Evidence)

    async def lines(self, client: Client) -> AsyncGenerator[Line, None]:
        """Every line as soon as it is known. Raises what the connectors raise; a canary is deleted in any case."""
        access, deployment = wiring.kafka_access(self.settings, self.home), self.settings.deployment()
        cluster = await observe(access)
        bounds = of_cluster(cluster, deployment, rebuilt_every=rebuilt_within(self.settings))
        folders = self._folders(bounds)
        with closing(key_rows(self.settings, self.home)) as rows:
            bird = await self._enrolled(client, rows)
            try:
                where = control.places(bird, cluster, deployment, folders)
                bird = await self._held(client, bird)
                seen = await self._seen(bird, where)
                for line in await asyncio.to_thread(lambda: list(control.lines(bird, where, seen, folders))):
                    yield line
            finally:
                began = time.monotonic()
                await canary.deleted(client, bird)
            leaving = Leaving(bird, folders, {bound.store: bound for bound in bounds}, began, self.settings.now, seen)
            # At once, for to read everything that is kept takes a while, and that is not the canary's time.
            for line in await leaving.gone():
                yield line
            for line in control.out_of_sight(cluster, folders, where):
                yield line
            async for line in self._living(client, cluster, folders):
                yield line
            for line in inventory.lines(cluster, deployment, bounds):
                yield line
            # Before what is kept is read: of what is erased meanwhile nothing is searched.
            erased = (await erasures(access, deployment)).told()
            in_use = kids_in_use(client.tables.live)
            kept = Kept(self.settings, self.home, folders, bounds, rows, self.given, self.evidence)
            for line in await asyncio.to_thread(lambda: list(kept.lines(erased, in_use, cluster, bird))):
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

    async def _held(self, client: Client, bird: Canary) -> Canary:
        """The canary as Milvus holds it."""
        deployment, pack = self.settings.deployment(), self.settings.recognition().pack
        with closing(wiring.admin(self.settings, self.home)) as admin:
            await enrolled(client, admin, deployment.group(ENROL), bird.scope, deployment)
        collection = place(Searched("persongroup", "", pack))
        with closing(wiring.milvus(self.settings, self.home)) as milvus:
            held = await asyncio.to_thread(milvus.vectors, collection, [bird.face_id])
        return canary.as_stored(bird, held.get(bird.face_id))

    async def _seen(self, bird: Canary, where: Sequence[Place]) -> set[str]:
        """The stores in whose files the canary was found, wherever it has to be, within 20 s."""
        deadline, found = time.monotonic() + SEEN_SECONDS, set[str]()
        while (missing := control.visible(where) - found) and time.monotonic() < deadline:
            found |= await asyncio.to_thread(control.seen, bird, where, missing)
        return found

    async def _living(self, client: Client, cluster: ClusterState, folders: Folders) -> AsyncGenerator[Line, None]:
        """The control of topics without a canary, where every replica can be read."""
        if folders.kafka is None:
            return
        access, deployment = wiring.kafka_access(self.settings, self.home), self.settings.deployment()
        whole = coverage.whole(cluster, deployment, folders.kafka.data)
        pick = living.pickers(client.tables.live, lambda: everything_told(access, deployment))
        wanted = {topic: picked for topic, picked in pick.items() if topic in whole}
        async for line in living.lines(folders.kafka, wanted):
            yield line
