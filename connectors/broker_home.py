"""The broker's folder on disk: where everything lies in it, and the settings Kafka reads from it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from connectors import ServiceRefused
from connectors.loopback import LOOPBACK


class Home:
    """The folder of one embedded broker (mode 0700), with `data/`, `server.properties`, `ports`, `broker.log`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.data = self.folder / "data"
        self.kafka_lock = self.data / ".lock"
        self.lock = self.folder / ".lock"
        self.log = self.folder / "broker.log"
        self.properties = self.folder / "server.properties"
        self.ports = self.folder / "ports"
        if "," in str(self.folder):
            raise ServiceRefused(
                f"the broker's home {self.folder} has a comma, which Kafka reads as two folders: rename it"
            )

    def formatted(self) -> bool:
        """Whether Kafka has given this folder its cluster id."""
        return (self.data / "meta.properties").is_file()

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
    # Erasure: what these five add up to is the time from a tombstone to the bytes' end.
    "log.cleaner.backoff.ms": "500",
    "log.retention.check.interval.ms": "5000",
    # After a start nothing grows old before this: 30 s by default, and never on a broker that is killed again in them.
    "log.initial.task.delay.ms": "1000",
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
