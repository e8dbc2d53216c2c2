"""A Milvus Lite server as a child process: what a person without a Milvus gets, on loopback only.

Good to some 20,000 templates; it has neither passwords nor TLS.
"""

from __future__ import annotations

import fcntl
import signal
import sys
from functools import partial
from pathlib import Path

from connectors.embedded import EmbeddedServer, until_available, until_former_left
from connectors.loopback import LOOPBACK, choose_ports
from connectors.milvus import Milvus


class EmbeddedMilvus(EmbeddedServer):
    """One server whose data outlive it in `folder`; lock, log and port are remembered in files beside that folder.

    `port` 0 takes a free one and keeps it over restarts while it stays free; `temp` is where its temporary files are,
    the system's folder where none is given. `start` returns the server's URI, "http://127.0.0.1:port". Ends with the
    process that started it. One event loop may use it.
    """

    def __init__(self, folder: Path, *, port: int = 0, temp: Path | None = None) -> None:
        lock, log, self._remembered = (folder.with_name(f"{folder.name}.{kind}") for kind in ("lock", "log", "port"))
        super().__init__("Milvus Lite", folder, lock=lock, log=log, temp=temp)
        self._port = port

    async def _launch(self) -> str:
        # It flushes before it leaves, and holds its own lock until then.
        await until_former_left(self._folder / "LOCK", fcntl.flock, "Milvus Lite")
        (port,) = choose_ports(self._remembered, self._port)
        uri = f"http://{LOOPBACK}:{port}"
        self._log.unlink(missing_ok=True)
        arguments = ["server", "--data-dir", str(self._folder), "--host", LOOPBACK, "--port", str(port)]
        # Its server flushes at an interrupt only; -P keeps the working directory off its import path.
        command = [sys.executable, "-P", "-m", "milvus_lite", *arguments]
        await self._run(command, partial(_answers, uri), ending=signal.SIGINT)
        return uri


async def _answers(uri: str) -> None:
    milvus = Milvus(uri, timeout=2.0)
    try:
        await until_available(milvus.version)
    finally:
        milvus.close()
