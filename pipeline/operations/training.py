"""Training, as the Face API has it: from when on additions are searched. Deletions need none, they hold at once.

The index follows `templates` by itself, so a training asks nothing of it: it notes how far `templates` had come, and
is done once the index is behind that. The note stands in the collection, so that every replica answers alike.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from pipeline.operations import Refused
from pipeline.operations.client import Client
from pipeline.operations.collections import existing
from pipeline.records import KIND_WORDS, Collection, FinishTraining, TrainCollection, Training
from pipeline.topology import ENROL, TEMPLATES, Deployment


@dataclass(frozen=True, slots=True)
class Status:
    """How a training stands; `succeeded` is when the last one did, None before the first."""

    status: Literal["running", "succeeded"]
    created: datetime
    acted: datetime
    succeeded: datetime | None


class Groups(Protocol):
    """What training needs of Kafka's administration (`connectors.kafka_admin`)."""

    def committed(self, group: str, topic: str) -> Mapping[int, int]:
        """A group's committed offsets by partition: the next record it will read. Blocks."""
        ...


@dataclass(frozen=True, slots=True)
class Trainer:
    """Begins trainings and says how they stand. The enrol stage commits an offset after the index is flushed."""

    groups: Groups
    deployment: Deployment

    async def begin(self, client: Client, scope: str, *, request_id: str) -> None:
        """Ask for all that was acknowledged so far to be searchable; Refused where there is no such collection."""
        await client.catch_up()
        existing(client, scope)
        partition = self.deployment.scale.of_scope(scope)
        target = client.tables.templates_seen.get(partition, -1)
        await client.asker.ask(TrainCollection(**client.heading(scope, request_id), target=target))

    async def status(self, client: Client, scope: str) -> Status:
        """How the newest training stands; Refused where the collection was never trained."""
        await client.catch_up()
        collection = existing(client, scope)
        if collection.training is None:
            raise _not_trained(collection)
        if collection.training.finished is None:
            collection = await self._settled(client, scope, collection, collection.training)
        training = collection.training
        if training is None:
            raise _not_trained(collection)
        done = training.finished
        return Status(
            "running" if done is None else "succeeded",
            training.requested,
            done or training.requested,
            done or training.succeeded_before,
        )

    async def required(self, client: Client, scope: str) -> Collection:
        """The collection, if it was ever trained; Refused as the Face API does where its first training runs, or none.

        What the tables show is as new as the last `catch_up`.
        """
        collection = existing(client, scope)
        training = collection.training
        if training is None:
            raise _not_trained(collection)
        if training.finished is None and training.succeeded_before is None:
            collection = await self._settled(client, scope, collection, training)
            if collection.training is None or collection.training.finished is None:
                word = KIND_WORDS[collection.kind]
                raise Refused(f"{scope} is under training: ask again in a second", f"{word}TrainingNotFinished")
        return collection

    async def _settled(self, client: Client, scope: str, collection: Collection, training: Training) -> Collection:
        """The collection after the index was looked at: whoever first sees it behind the target notes that."""
        group, topic = self.deployment.group(ENROL), self.deployment.name(TEMPLATES)
        positions = await asyncio.to_thread(self.groups.committed, group, topic)
        if training.target >= 0 and positions.get(self.deployment.scale.of_scope(scope), 0) <= training.target:
            return collection
        # A request of its own each time: several who see it at once cause one change, because control looks first.
        heading = client.heading(scope, client.new_id())
        await client.asker.ask(FinishTraining(**heading, uid=collection.uid, target=training.target))
        await client.catch_up()
        return existing(client, scope)


def _not_trained(collection: Collection) -> Refused:
    scope = f"{collection.kind}/{collection.id}"
    return Refused(f"{scope} was never trained: train it first", f"{KIND_WORDS[collection.kind]}NotTrained")
