"""The embedded Milvus Lite as its supervisor meets it: killed, frozen, started twice, orphaned."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import numpy as np
import psutil
import pytest

from connectors import ServiceRefused, ServiceUnavailable
from connectors.milvus import Milvus, Row
from connectors.milvus_server import EmbeddedMilvus
from tests.stopwatch import Stopwatch

pytestmark = pytest.mark.milvus

CHECKOUT = Path(__file__).parents[2]
PROBE = np.eye(1, 4, dtype=np.float32)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedMilvus]:
    server = EmbeddedMilvus(tmp_path / "milvus")
    await server.start()
    yield server
    await server.stop()


def address(folder: Path) -> str:
    return f"http://127.0.0.1:{folder.with_name(f'{folder.name}.port').read_text()}"


def until_served(client: Milvus) -> int:
    deadline = time.monotonic() + 20
    while True:
        try:
            return len(client.search("people", PROBE, "g", 10)[0])
        except ServiceUnavailable:
            assert time.monotonic() < deadline
            time.sleep(0.05)


async def test_a_client_outlives_its_server(server: EmbeddedMilvus, tmp_path: Path) -> None:
    uri = address(tmp_path / "milvus")
    with closing(Milvus(uri)) as patient:
        patient.ensure("people", 4, "cosine")
        patient.upsert("people", [Row("a", "g", "p", "k", PROBE[0])])
    client = Milvus(uri, timeout=2.0)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    assert await server.wait() == 128 + signal.SIGKILL
    assert not server.running()
    with pytest.raises(ServiceUnavailable):
        client.search("people", PROBE, "g", 1)
    assert await server.start() == uri
    assert until_served(client) == 1, "loaded again, and nothing acknowledged was lost"
    await server.stop()
    await server.start()
    client.upsert("people", [Row("b", "g", "p", "k", PROBE[0])])
    assert set(client.ids("people")) == {"a", "b"}
    client.close()


async def test_a_frozen_server_is_an_absent_one(server: EmbeddedMilvus, tmp_path: Path) -> None:
    with closing(Milvus(address(tmp_path / "milvus"))) as patient:
        patient.ensure("people", 4, "cosine")
    client = Milvus(address(tmp_path / "milvus"), timeout=1.0)
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        with Stopwatch() as took:
            with pytest.raises(ServiceUnavailable):
                client.search("people", PROBE, "g", 1)
            with pytest.raises(ServiceUnavailable):
                client.version()
        assert took.seconds < 5
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert until_served(client) == 0
    client.close()


async def test_a_taken_port_is_refused_and_a_remembered_one_replaced(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ServiceRefused, match=f"port {port} on 127.0.0.1 is taken"):
            await EmbeddedMilvus(tmp_path / "milvus", port=port).start()
        (tmp_path / "milvus.port").write_text(str(port))
        server = EmbeddedMilvus(tmp_path / "milvus")
        uri = await server.start()
        await server.stop()
    assert not uri.endswith(f":{port}")
    assert uri == address(tmp_path / "milvus")


async def test_it_listens_on_loopback_only_and_keeps_its_files_to_itself(
    server: EmbeddedMilvus, tmp_path: Path
) -> None:
    listening = [c.laddr.ip for c in psutil.Process(server.pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert [ip.removeprefix("::ffff:") for ip in listening] == ["127.0.0.1"]
    assert (tmp_path / "milvus").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "milvus.log").stat().st_mode & 0o777 == 0o600


async def test_data_that_milvus_cannot_open_are_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "milvus").mkdir()
    (tmp_path / "milvus" / "collections").write_text("")
    server = EmbeddedMilvus(tmp_path / "milvus")
    with pytest.raises(
        ServiceRefused, match=r"^Milvus Lite ended while starting: .*collections.* \(see .*milvus\.log\)$"
    ):
        await server.start()
    assert not server.running()


async def test_it_dies_with_its_starter_and_can_be_started_again(tmp_path: Path) -> None:
    starter = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import asyncio, sys; from pathlib import Path; from connectors.milvus_server import EmbeddedMilvus\n"
        "async def main():\n server = EmbeddedMilvus(Path(sys.argv[1])); await server.start()\n"
        " print(server.pid, flush=True); await server.wait()\nasyncio.run(main())",
        str(tmp_path / "milvus"),
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
    )
    assert starter.stdout is not None
    orphan = psutil.Process(int(await starter.stdout.readline()))
    starter.kill()
    await starter.communicate()
    again = EmbeddedMilvus(tmp_path / "milvus")
    await again.start()
    assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
    await again.stop()
