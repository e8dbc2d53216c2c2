"""The socket of the API: answers leave it at once."""

import asyncio
import socket
from pathlib import Path

import pytest

from pipeline.api import listening
from pipeline.home import Home
from pipeline.settings import Api


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path)
    made.prepare()
    return made


async def test_no_answer_waits_for_the_acknowledgement_of_its_head(home: Home) -> None:
    """Nagle's algorithm and a delayed acknowledgement together cost 40 ms of every request."""
    found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def accepted(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    bound = listening.listener(Api(port=0), home)
    async with await asyncio.start_server(accepted, sock=bound):
        _, writer = await asyncio.open_connection(*bound.getsockname())
        assert await found
        writer.close()
        await writer.wait_closed()
