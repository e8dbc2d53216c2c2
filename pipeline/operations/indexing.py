"""How far the index has come: what needs no training is to be found as soon as its operation has succeeded."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from pipeline.operations.client import Client

log = logging.getLogger(__name__)

PATIENCE: Final = 2.0
ASK_AGAIN: Final = 0.02


@dataclass(slots=True)
class Indexing:
    """Waits for an index that somebody else keeps. `positions` blocks: the next offset of `templates`, by partition.

    `positions` None is of an index that is never behind the tables.
    """

    positions: Callable[[], Mapping[int, int]] | None = None
    patience: float = PATIENCE
    _known: Mapping[int, int] = field(default_factory=dict)

    async def caught_up(self, client: Client, partition: int) -> None:
        """Return once the index has every template of a partition that the tables show, or when patience is at its end.

        Whoever searches then finds what there is: an index that stands still is told by `faceline status`.
        """
        newest = client.tables.templates_seen.get(partition, -1)
        if self.positions is None or self._known.get(partition, 0) > newest:
            return
        try:
            async with asyncio.timeout(self.patience):
                while True:
                    self._known = await asyncio.to_thread(self.positions)
                    if self._known.get(partition, 0) > newest:
                        return
                    # Kafka tells nobody when a group commits: it has to be asked.
                    await asyncio.sleep(ASK_AGAIN)
        except TimeoutError:
            log.warning("the index is behind the tables by more than %g s", self.patience)
