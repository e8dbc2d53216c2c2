"""Wait until a change has arrived where it matters: in the index that is searched."""

import asyncio
from collections.abc import Mapping
from typing import Protocol

from pipeline.operations import Unanswered
from pipeline.operations.client import Client
from pipeline.topology import TEMPLATES, Deployment

ENROL_SECONDS = 60.0
ASK_AGAIN_SECONDS = 0.1


class Groups(Protocol):
    """What waiting needs of Kafka's administration (`connectors.kafka_admin`)."""

    def committed(self, group: str, topic: str) -> Mapping[int, int]:
        """A group's committed offsets by partition: the next record it will read. Blocks."""
        ...


async def enrolled(
    client: Client, groups: Groups, group: str, scope: str, deployment: Deployment, *, timeout: float = ENROL_SECONDS
) -> None:
    """Return when `enrol` (consumer group `group`) has indexed every template of `scope` acknowledged before the call.

    The offsets come from the records themselves: the end of a partition lies behind a transaction's marker, which no
    group ever commits. Raises Unanswered after `timeout` seconds.
    """
    await client.catch_up()
    partition = deployment.scale.of_scope(scope)
    last = {partition: client.tables.templates_seen.get(partition, -1)}
    await _behind(groups, group, deployment.name(TEMPLATES), last, f"the templates of {scope}", timeout)


async def all_enrolled(
    client: Client, groups: Groups, group: str, deployment: Deployment, *, timeout: float = ENROL_SECONDS
) -> None:
    """Return when `enrol` has indexed every template acknowledged before the call; else as `enrolled`."""
    await client.catch_up()
    last = dict(client.tables.templates_seen)
    await _behind(groups, group, deployment.name(TEMPLATES), last, "the newest templates", timeout)


async def _behind(groups: Groups, group: str, topic: str, last: Mapping[int, int], what: str, timeout: float) -> None:
    try:
        async with asyncio.timeout(timeout):
            while True:
                position = await asyncio.to_thread(groups.committed, group, topic)
                if all(position.get(partition, 0) > offset for partition, offset in last.items()):
                    return
                # Kafka tells nobody when a group commits: it has to be asked.
                await asyncio.sleep(ASK_AGAIN_SECONDS)
    except TimeoutError:
        raise Unanswered(
            f"{what} are not indexed after {timeout:g} s: the enrol stage or Milvus may be down; see `faceline status`"
        ) from None
