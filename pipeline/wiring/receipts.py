"""Receipts of the deployment: the key that signs them, and the topic on which they are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline.changes import Put
from pipeline.codec import Received
from pipeline.home import Home
from pipeline.operations.erasures import Erasures
from pipeline.receipts import Signer, fingerprint
from pipeline.records import AuditEntry
from pipeline.settings import Settings
from pipeline.topology import AUDIT, GATE, OPERATIONS, TABLES, Deployment, Topic
from pipeline.views import Follower

if TYPE_CHECKING:
    from connectors.kafka import KafkaAccess
    from connectors.signing_key import SigningKey

KEY = "receipts.pem"


def signing_key(settings: Settings, home: Home) -> SigningKey:
    """The settings' key, or the home's own, which is drawn the first time. ServiceRefused where it cannot be used."""
    from connectors.signing_key import SigningKey

    given = settings.receipts.key_file
    return SigningKey.made(home.keys / KEY) if given is None else SigningKey(given)


def examined(settings: Settings, home: Home) -> str:
    """By which key receipts are signed; draws none."""
    if settings.receipts.key_file is None and not (home.keys / KEY).exists():
        return f"{home.keys / KEY} is drawn when the first receipt, or its public key, is asked for"
    return f"signed by key {signer(settings, home).fingerprint}, {settings.receipts.key_file or home.keys / KEY}"


def signer(settings: Settings, home: Home) -> Signer:
    """What signs, for a stage."""
    key = signing_key(settings, home)
    return Signer(key.sign, fingerprint(key.public))


async def erasures(access: KafkaAccess, deployment: Deployment) -> Erasures:
    """What is known of every deletion at this moment; raises as `chains`."""
    found = Erasures(deployment.scale.streams)
    await _everything(access, deployment, (*TABLES, GATE, OPERATIONS, AUDIT), found.apply)
    return found


async def chains(access: KafkaAccess, deployment: Deployment) -> dict[int, list[AuditEntry]]:
    """Every entry that `audit` holds now, by partition, in the order in which they stand there.

    ServiceUnavailable when Kafka does not answer, ServiceRefused when it has no such topic.
    """
    found: dict[int, list[AuditEntry]] = {each: [] for each in range(deployment.scale.partitions(AUDIT))}

    def take(received: Received) -> None:
        if isinstance(received.change, Put):
            found[received.partition].append(received.change.value)

    await _everything(access, deployment, (AUDIT,), take)
    return found


async def _everything(
    access: KafkaAccess, deployment: Deployment, topics: tuple[Topic, ...], take: Callable[[Received], None]
) -> None:
    from connectors.keystore import wall_clock
    from pipeline.wiring.asking import answering, check_topics, reader

    await asyncio.to_thread(check_topics, access, deployment, topics)
    with answering(access):
        view = Follower(reader(access), deployment, topics, take, clock=wall_clock)
        try:
            await view.start()
        finally:
            await view.stop()
