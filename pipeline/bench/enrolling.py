"""Enrols persons without an end, in several collections at once, and remembers whom: the load of control and enrol."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np

from pipeline import wiring
from pipeline.bench.deployment import Deployed
from pipeline.bench.gallery import drawn, enrol, ensured, indexed, unfound
from pipeline.operations.client import Client
from pipeline.operations.photos import Portrait
from pipeline.records import Collection

PAUSE_SECONDS = 0.4


@dataclass(slots=True)
class Enrolling:
    """Persons with one drawn template each, one after the other in each of `scopes`."""

    deployment: Deployed
    client: Client
    scopes: Sequence[str]
    random: np.random.Generator
    asked: int = 0
    enrolled: list[tuple[Collection, Portrait]] = field(default_factory=list)

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Enrol while the block runs; what a command was refused for, or that it was not answered, is raised after."""
        enough = asyncio.Event()
        working = [asyncio.create_task(self._enrol(scope, enough)) for scope in self.scopes]
        try:
            yield
        finally:
            enough.set()
            await asyncio.gather(*working)

    async def missing(self) -> int:
        """How many of the templates a search does not find, once `enrol` says that it has indexed them all."""
        for scope in self.scopes:
            await indexed(self.deployment, self.client, scope=scope)
        found = [
            await asyncio.to_thread(unfound, self.deployment, collection, portraits)
            for collection, portraits in self._by_collection()
        ]
        return sum(found)

    def _by_collection(self) -> list[tuple[Collection, list[Portrait]]]:
        owners = {collection.uid: collection for collection, _ in self.enrolled}
        return [(owner, [each for of, each in self.enrolled if of.uid == uid]) for uid, owner in owners.items()]

    async def _enrol(self, scope: str, enough: asyncio.Event) -> None:
        model = self.deployment.settings.models.pack
        dimension = wiring.catalogue().pack(model).dimension
        self.asked += 1
        collection = await ensured(self.client, model, scope=scope)
        while not enough.is_set():
            portraits = drawn(1, dimension, self.random)
            self.asked += 1
            await enrol(self.client, model, "drawn", portraits, scope=scope)
            self.enrolled += [(collection, portrait) for portrait in portraits]
            await asyncio.sleep(PAUSE_SECONDS)
