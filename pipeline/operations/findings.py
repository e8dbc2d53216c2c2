"""What a search of the stores found about erasures, on its way to the audit chain."""

from collections.abc import Sequence

from pipeline.operations.client import Client
from pipeline.records import NoteFindings, Verified

SCOPE = "audit"
AT_ONCE = 500  # they travel in one record of at most 1 MiB


async def note(client: Client, found: Sequence[Verified]) -> None:
    """Have the eraser sign each; returns when it was accepted, and the chain has it soon after."""
    for start in range(0, len(found), AT_ONCE):
        portion = tuple(found[start : start + AT_ONCE])
        await client.asker.ask(NoteFindings(**client.heading(SCOPE, client.new_id()), found=portion))
