"""How a command of the operator becomes a client of `control`."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

from pipeline.commands import Invocation
from pipeline.operations.client import Client


def without_chatter() -> None:
    """What clients write about a Kafka that is away belongs in no operator's terminal: our own line says it."""
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())


@asynccontextmanager
async def asking(call: Invocation) -> AsyncIterator[Client]:
    """A client in the name of the operator who is logged in; its tables are replayed."""
    from pipeline import wiring  # it loads every engine, and --help needs none
    from pipeline.wiring.asking import client, operator

    without_chatter()
    access = wiring.kafka_access(call.settings, call.home)
    now = call.settings.now
    with closing(wiring.key_store(call.settings, call.home)) as keys:
        async with client(access, call.settings.deployment(), keys, operator(), now) as opened:
            yield opened
