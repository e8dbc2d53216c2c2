"""The door to Kafka: how to reach it, said once for every client library, and clients that lose nothing."""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer  # type: ignore[import-untyped]

from connectors import ServiceRefused
from connectors.kafka_headers import read_any_header_name

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

REQUEST_BYTES = 8 << 20  # twice the largest record a topic takes (4 MiB)
BATCH_BYTES = 1 << 20
TRANSACTION_MS = (
    60_000  # the broker's transaction.max.timeout.ms; a longer outage inside a transaction fences its owner
)
SESSION_MS = 30_000
HEARTBEAT_MS = 3_000
QUIET_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Library:
    """Whose clients are made: aiokafka's, or those of a simulation that takes the same options."""

    producer: Callable[..., Any] = AIOKafkaProducer
    consumer: Callable[..., Any] = AIOKafkaConsumer


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """Where Kafka is and who we are there; the same for aiokafka and for librdkafka.

    `bootstrap` is "host:port[,host:port]". Files are PEM; `certificate_file` may carry the key as well. Raises
    ServiceRefused when the options contradict each other.
    """

    bootstrap: str
    security_protocol: SecurityProtocol = "PLAINTEXT"
    sasl_mechanism: SaslMechanism | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    library: Library = field(default=Library(), repr=False)

    def __post_init__(self) -> None:
        if self.uses_sasl and not (self.sasl_mechanism and self.username and self.password):
            raise ServiceRefused(
                f"Kafka with {self.security_protocol} needs sasl_mechanism, username and password: set all three"
            )
        if not self.uses_sasl and (self.sasl_mechanism or self.username or self.password):
            raise ServiceRefused(
                f"Kafka with {self.security_protocol} takes no username: set security_protocol to SASL_SSL"
            )
        if not self.uses_tls and (self.ca_file or self.certificate_file or self.key_file):
            raise ServiceRefused(
                f"Kafka with {self.security_protocol} uses no certificates: set security_protocol to SSL or SASL_SSL"
            )
        if self.key_file and not self.certificate_file:
            raise ServiceRefused(f"Kafka's key_file {self.key_file} has no certificate_file: set certificate_file too")

    @property
    def uses_sasl(self) -> bool:
        """Whether we name ourselves by username and password."""
        return self.security_protocol.startswith("SASL")

    @property
    def uses_tls(self) -> bool:
        """Whether the connection is encrypted and the broker's certificate checked."""
        return self.security_protocol.endswith("SSL")

    def ssl_context(self) -> ssl.SSLContext | None:
        """The TLS side, with the host name checked; None without TLS. ServiceRefused when a file is missing or bad."""
        if not self.uses_tls:
            return None
        for file in (self.ca_file, self.certificate_file, self.key_file):
            if file is not None and not file.is_file():
                raise ServiceRefused(
                    f"Kafka's certificate file {file} does not exist: correct the path in the settings"
                )
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except (ssl.SSLError, OSError) as error:
            raise ServiceRefused(
                f"Kafka's ca_file {self.ca_file} is not a readable PEM file: give the CA's PEM"
            ) from error
        if self.certificate_file is not None:
            try:
                # An empty pass phrase makes a locked key an error; without one OpenSSL would ask on the terminal.
                context.load_cert_chain(self.certificate_file, self.key_file, password="")
            except (ssl.SSLError, OSError) as error:
                raise ServiceRefused(
                    f"Kafka's certificate_file {self.certificate_file} and its key do not load: give a PEM certificate "
                    "with its own, unencrypted key"
                ) from error
        return context

    def aiokafka(self) -> dict[str, Any]:
        """Options that every aiokafka client takes."""
        options: dict[str, Any] = {"bootstrap_servers": self.bootstrap, "security_protocol": self.security_protocol}
        if self.uses_tls:
            options["ssl_context"] = self.ssl_context()
        if self.uses_sasl:
            options["sasl_mechanism"] = self.sasl_mechanism
            options["sasl_plain_username"] = self.username
            options["sasl_plain_password"] = self.password
        return options

    def librdkafka(self) -> dict[str, str]:
        """Options that every confluent-kafka client takes. ServiceRefused when a certificate file is missing or bad."""
        self.ssl_context()  # librdkafka would name neither the file nor the cure
        options = {
            "bootstrap.servers": self.bootstrap,
            "security.protocol": self.security_protocol,
            "sasl.mechanism": self.sasl_mechanism,
            "sasl.username": self.username,
            "sasl.password": self.password,
            "ssl.ca.location": self.ca_file,
            "ssl.certificate.location": self.certificate_file,
            "ssl.key.location": self.key_file or self.certificate_file,
        }
        return {name: str(value) for name, value in options.items() if value is not None}


def producer(access: KafkaAccess, *, transactional_id: str | None = None) -> AIOKafkaProducer:
    """An idempotent producer, not yet started; call it inside the event loop that will use it.

    With `transactional_id` it is transactional: starting it fences every earlier producer of that id. Values are not
    compressed: JPEG does not shrink, and an erasure audit has to find bytes in the segment files.
    """
    transactional = {
        "transactional_id": transactional_id,
        "transaction_timeout_ms": TRANSACTION_MS,
        # Brokers answer the first send of a transaction with "try again" now and then: 100 ms each by default.
        "retry_backoff_ms": 5,
    }
    return access.library.producer(
        **access.aiokafka(),
        acks="all",
        enable_idempotence=True,
        linger_ms=0,
        max_batch_size=BATCH_BYTES,
        max_request_size=REQUEST_BYTES,
        **(transactional if transactional_id else {}),
    )


def consumer(
    access: KafkaAccess,
    *,
    group: str | None = None,
    instance: str | None = None,
    reset: Literal["earliest", "latest", "none"] = "earliest",
    max_wait_ms: int = 100,
    max_records: int | None = None,
    committed: bool = True,
) -> AIOKafkaConsumer:
    """A consumer of `committed` records, or of all, without topics and not yet started; it never commits by itself.

    `group` None reads without a group. `instance` makes it a static member: one live process per instance, or the two
    eject each other for ever. `reset` is where a group without a committed offset begins; "none" raises instead.
    `max_wait_ms` bounds how long the broker may sit on an empty fetch, `max_records` one `getmany`.
    """
    read_any_header_name()
    return access.library.consumer(
        **access.aiokafka(),
        group_id=group,
        group_instance_id=instance,
        isolation_level="read_committed" if committed else "read_uncommitted",
        enable_auto_commit=False,
        auto_offset_reset=reset,
        max_partition_fetch_bytes=REQUEST_BYTES,
        fetch_max_wait_ms=max_wait_ms,
        max_poll_records=max_records,
        session_timeout_ms=SESSION_MS,
        heartbeat_interval_ms=HEARTBEAT_MS,
    )


class Sparing(logging.Filter):
    """Lets one message of a kind through per `seconds`, and says with the next one how many were held back."""

    def __init__(self, seconds: float = QUIET_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._seconds = seconds
        self._clock = clock
        self._kinds: dict[tuple[str, object], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind = (record.name, record.msg)
        now = self._clock()
        last, held_back = self._kinds.get(kind, (float("-inf"), 0))
        if now - last < self._seconds:
            self._kinds[kind] = (last, held_back + 1)
            return False
        self._kinds[kind] = (now, 0)
        if held_back:
            record.msg, record.args = f"{record.getMessage()} [and {held_back} more like it]", ()
        return True


def quiet_logs() -> None:
    """Rate-limit aiokafka's loggers: it writes thousands of lines while a broker is away. Safe to call again."""
    # A filter sees only what its own logger was asked to log, so each of aiokafka's loggers gets one.
    for name, logger in list(logging.root.manager.loggerDict.items()):
        ours = name == "aiokafka" or name.startswith("aiokafka.")
        if ours and isinstance(logger, logging.Logger) and not any(isinstance(f, Sparing) for f in logger.filters):
            logger.addFilter(Sparing())
