"""Whether every deletion of a benchmark has its one receipt, and whether the chain of them holds."""

import asyncio
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from pipeline import receipts, wiring
from pipeline.bench.deployment import Deployed
from pipeline.records import Receipt
from pipeline.wiring.receipts import chains, signing_key

SIGNED_SECONDS = 60.0
LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Receipted:
    """Of `deletions`, how many have no receipt or more than one; `unproven` is why a chain does not hold, if so."""

    deletions: int
    without: int
    several: int
    unproven: str = ""

    @property
    def faults(self) -> int:
        return self.without + self.several + bool(self.unproven)


async def receipted(deployment: Deployed, operations: Collection[str]) -> Receipted:
    """Look until every one of these operations has a receipt, a minute at most."""
    deadline = asyncio.get_running_loop().time() + SIGNED_SECONDS
    while True:
        found = await _read(deployment, operations)
        if not found.without or asyncio.get_running_loop().time() > deadline:
            return found
        await asyncio.sleep(LOOK_SECONDS)


async def _read(deployment: Deployed, operations: Collection[str]) -> Receipted:
    settings, home = deployment.settings, deployment.home
    read = await chains(wiring.kafka_access(settings, home), settings.deployment())
    public = (await asyncio.to_thread(signing_key, settings, home)).public
    unproven = ""
    for number, entries in read.items():
        try:
            receipts.verify_chain(entries, public, receipts.Head(number))
        except receipts.Unproven as error:
            unproven = str(error)
    signed = Counter(
        entry.event.erasure for each in read.values() for entry in each if isinstance(entry.event, Receipt)
    )
    counts = [signed[operation] for operation in operations]
    return Receipted(len(counts), counts.count(0), sum(count > 1 for count in counts), unproven)
