"""The broker's folder on disk: who may use it, which ports it remembers, and the settings Kafka reads from it."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from connectors import ServiceRefused

LOOPBACK = "127.0.0.1"
# Below every system's range of outgoing ports (Linux 32768+, macOS 49152+): a client that keeps knocking while the
# broker restarts could be given the broker's own port as its source, connect to itself and hold the port.
QUIET_PORTS = range(20000, 32768)
FORMER_JVM_SECONDS = 15.0


class Home:
    """The folder of one embedded broker (mode 0700), with `data/`, `server.properties`, `ports.json`, `broker.log`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.data = self.folder / "data"
        self.log = self.folder / "broker.log"
        self.properties = self.folder / "server.properties"
        self._ports = self.folder / "ports.json"
        if "," in str(self.folder):
            raise ServiceRefused(
                f"the broker's home {self.folder} has a comma, which Kafka reads as two folders: rename it"
            )

    def formatted(self) -> bool:
        """Whether Kafka has given this folder its cluster id."""
        return (self.data / "meta.properties").is_file()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other process out for the length of the block; ServiceRefused, naming the holder, if one is in."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.chmod(0o700)
            lock = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ServiceRefused(f"the broker's home {self.folder} cannot be used: {error.strerror}") from error
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.read(lock, 20).decode() or "unknown"
                raise ServiceRefused(
                    f"the broker's home {self.folder} is used by process {holder}: stop it or choose another home"
                ) from None
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(lock)

    def wait_for_former_jvm(self) -> None:
        """Block while a Kafka whose starter was killed still leaves; ServiceRefused after 15 s."""
        deadline = time.monotonic() + FORMER_JVM_SECONDS
        while not self._kafka_lock_is_free():
            if time.monotonic() > deadline:
                raise ServiceRefused(
                    f"another Kafka uses {self.data} and does not leave: find it with `ps` and stop it"
                )
            time.sleep(0.1)

    def _kafka_lock_is_free(self) -> bool:
        try:
            lock = os.open(self.data / ".lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kind of lock that Java's FileChannel takes
        except OSError:
            return False
        finally:
            os.close(lock)
        return True

    def choose_ports(self, asked: int) -> tuple[int, int]:
        """The broker's and the controller's port: as asked (0: as last time where still free), and remembered.

        Raises ServiceRefused if the asked port is taken.
        """
        last: list[int] = []
        with suppress(OSError, ValueError):
            last = [int(port) for port in json.loads(self._ports.read_text())]
        broker, controller = last if len(last) == 2 else (0, 0)
        if asked:
            if not _is_free(asked):
                raise ServiceRefused(
                    f"port {asked} on {LOOPBACK} is taken: stop what listens there or choose another port"
                )
            broker = asked
        elif not _is_free(broker):
            broker = _free_port()
        if controller == broker or not _is_free(controller):
            controller = _free_port(other_than=broker)
        self._ports.write_text(json.dumps([broker, controller]))
        return broker, controller

    def write_properties(self, broker: int, controller: int, overrides: Mapping[str, str]) -> None:
        """Write the settings Kafka starts with; `overrides` win over ours."""
        settings = _listeners(broker, controller) | {"log.dirs": str(self.data)} | SETTINGS | dict(overrides)
        lines = (f"{name}={_escaped(value)}\n" for name, value in settings.items())
        self.properties.write_text("".join(lines), encoding="ascii")

    def fresh_log(self) -> None:
        """Put the last run's log aside as `broker.log.1`, so that one run's log is one file."""
        with suppress(FileNotFoundError):
            self.log.replace(self.log.with_name("broker.log.1"))


def _listeners(broker: int, controller: int) -> dict[str, str]:
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{broker},CONTROLLER://{LOOPBACK}:{controller}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{broker}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    }


SETTINGS = {
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "num.network.threads": "2",
    "num.io.threads": "2",
    "message.max.bytes": "4194304",
    # One produce request carries a batch of every partition: sixteen of the largest have to fit.
    "socket.request.max.bytes": "67108864",
    # Erasure: what these four add up to is the time from a tombstone to the bytes' end.
    "log.cleaner.backoff.ms": "500",
    "log.retention.check.interval.ms": "5000",
    "log.segment.delete.delay.ms": "1000",
    "log.flush.start.offset.checkpoint.interval.ms": "1000",
    "log.cleaner.threads": "1",
    "log.cleaner.dedupe.buffer.size": "16777216",
    "transaction.max.timeout.ms": "60000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "2000",
    # The controller waits this session out after a kill -9: 9 s by default.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
}


def _escaped(value: str) -> str:
    units = value.replace("\\", "\\\\").encode("utf-16-be")
    codes = (int.from_bytes(units[i : i + 2], "big") for i in range(0, len(units), 2))
    return "".join(chr(code) if 0x20 <= code < 0x7F else f"\\u{code:04x}" for code in codes)


def _is_free(port: int) -> bool:
    if port == 0:
        return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _free_port(other_than: int = 0) -> int:
    for _ in range(1000):
        port = secrets.choice(QUIET_PORTS)
        if port != other_than and _is_free(port):
            return port
    raise ServiceRefused(
        f"no port of {QUIET_PORTS.start}-{QUIET_PORTS.stop - 1} is free on {LOOPBACK}: end some programs"
    )
