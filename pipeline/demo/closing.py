"""The end of the demo: every sampled frame is accounted for."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from pipeline.balance import Balance, Books, balances

SETTLED_WITHIN = 20.0
ASK_AGAIN = 0.2


async def settled(read: Callable[[], Awaitable[Books]]) -> dict[str, Balance]:
    """The balance of every camera once its sessions are closed and nothing is missing; after 20 s, as it is then.

    The cameras have ended; what they published last is still on its way.
    """
    deadline = time.monotonic() + SETTLED_WITHIN
    while True:
        books = await read()
        found = balances(books)
        closed = all(fates.closed for fates in books.sessions.values())
        if (closed and all(each.holds for each in found.values())) or time.monotonic() > deadline:
            return found
        await asyncio.sleep(ASK_AGAIN)


def told(camera: str, balance: Balance) -> str:
    """One camera's balance as a line."""
    line = (
        f"camera {camera}: {balance.sampled} sampled = {balance.processed} processed + {balance.skipped} skipped "
        f"+ {balance.gaps} gaps + {balance.dead_letters} dead letters"
    )
    return line if balance.holds else f"{line}, and {balance.unaccounted} that nothing accounts for"
