"""The socket of the API: where it is, and that answers leave it at once."""

import asyncio
import socket
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.api import listening
from pipeline.home import Home
from pipeline.settings import Api, SettingsError


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


def test_a_free_port_stays_the_same(home: Home) -> None:
    with closing(listening.listener(Api(port=0), home)) as bound:
        first = bound.getsockname()
    with closing(listening.listener(Api(port=0), home)) as bound:
        assert bound.getsockname() == first
        assert listening.address(Api(), bound) == f"http://127.0.0.1:{first[1]}"


def test_a_taken_port_is_told_with_the_setting(home: Home) -> None:
    with closing(listening.listener(Api(port=0), home)) as bound:
        taken = bound.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"\[api\] 127.0.0.1 port {taken} cannot be listened on"):
            listening.listener(Api(port=taken), home)
