"""The tables of the settings file, one class per concern: what may stand there and what it means."""

import os
import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from platformdirs import user_cache_path
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from pipeline.records import DEFAULT_RECOGNITION, RecognitionModel
from pipeline.settings.mistakes import SettingsError

FILE = "faceline.toml"
KAFKA_PASSWORD = "FACELINE_KAFKA_PASSWORD"  # noqa: S105 - the name of a variable
MILVUS_TOKEN = "FACELINE_MILVUS_TOKEN"  # noqa: S105 - the name of a variable
MOVE_CLOCK = "FACELINE_MOVE_CLOCK"

HOUR, DAY = 3_600, 86_400
SECONDS_PER = {"s": 1, "m": 60, "h": HOUR, "d": DAY}


def _seconds(value: object) -> object:
    if isinstance(value, str):
        match = re.fullmatch(r"(\d{1,6})([smhd])", value)
        if match is None:
            raise ValueError("not a duration; write seconds, or a number with s, m, h or d")
        return int(match[1]) * SECONDS_PER[match[2]]
    return value


def _beside_the_file(path: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder")
    path = path.expanduser()
    return path if folder is None else folder / path


Seconds = Annotated[int, BeforeValidator(_seconds)]
FilePath = Annotated[Path, Field(strict=False), AfterValidator(_beside_the_file)]


class Table(BaseModel):
    """A table of the file: frozen, exact in its types, without room for a setting that nobody reads."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Kafka(Table):
    """Where Kafka is. Without `bootstrap`, Faceline runs a broker of its own on this machine."""

    bootstrap: str | None = Field(
        default=None, description="host:port of your own Kafka", examples=["broker:9092"], min_length=1
    )
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        default="PLAINTEXT", description="how to talk to it"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        default=None, description="how to prove who we are", examples=["SCRAM-SHA-512"]
    )
    username: str | None = Field(default=None, description="whom we claim to be", examples=["faceline"])
    password_file: FilePath | None = Field(
        default=None, description=f"file with the password (or set {KAFKA_PASSWORD})", examples=["kafka-password"]
    )
    ca_file: FilePath | None = Field(default=None, description="PEM of the authorities to trust", examples=["ca.pem"])
    certificate_file: FilePath | None = Field(
        default=None, description="PEM of our certificate", examples=["client.pem"]
    )
    key_file: FilePath | None = Field(default=None, description="PEM of our certificate's key", examples=["client.key"])
    streams: int = Field(default=4, ge=1, le=1_000, description="partitions of a stream; fixed once the topics exist")
    tables: int = Field(default=1, ge=1, le=1_000, description="partitions of a table; fixed once the topics exist")
    replication: int = Field(default=1, ge=1, le=9, description="copies of every record; 3 on a cluster")
    prefix: str = Field(
        default="", pattern=r"^[a-zA-Z0-9._-]{0,100}$", description="before every topic, on a shared cluster"
    )
    jars: FilePath | None = Field(
        default=None, description="folder of the broker's jars, for a machine without network", examples=["jars"]
    )
    heap_mb: int = Field(default=512, ge=128, le=65_536, description="MiB of heap of our own broker")

    @model_validator(mode="after")
    def _complete(self) -> "Kafka":
        if self.security_protocol.startswith("SASL") and (self.sasl_mechanism is None or self.username is None):
            raise ValueError(f"security_protocol {self.security_protocol} needs sasl_mechanism and username")
        if self.key_file is not None and self.certificate_file is None:
            raise ValueError("key_file has no certificate_file; give that too")
        if self.bootstrap is None and self.security_protocol != "PLAINTEXT":
            raise ValueError("security_protocol is for your own Kafka; give its bootstrap")
        return self

    def password(self) -> str | None:
        """The password from the environment or its file; SettingsError when the file cannot be read."""
        return secret(KAFKA_PASSWORD, "[kafka] password_file", self.password_file)


class Milvus(Table):
    """Where Milvus is. Without `uri`, Faceline serves a Milvus Lite on this machine, good to some 20,000 templates."""

    uri: str | None = Field(
        default=None,
        repr=False,
        min_length=1,
        description="address of your own Milvus",
        examples=["http://milvus:19530"],
    )
    token_file: FilePath | None = Field(
        default=None, description=f"file with user:password or token (or set {MILVUS_TOKEN})", examples=["milvus-token"]
    )
    renew: Seconds = Field(
        default=6 * HOUR,
        ge=60,
        le=30 * DAY,
        description='age at which an index that vectors were deleted from is made anew without them, such as "6h"',
    )

    @field_validator("uri", mode="after")
    @classmethod
    def _without_secrets(cls, given: str | None) -> str | None:
        if given is not None and "@" in urlsplit(given).netloc:
            raise ValueError("carries a password; put user:password into token_file")
        return given

    def token(self) -> str | None:
        """The token from the environment or its file; SettingsError when the file cannot be read."""
        return secret(MILVUS_TOKEN, "[milvus] token_file", self.token_file)


class Models(Table):
    """Which models look at the faces, and what they run on."""

    pack: str = Field(
        default="dlib", min_length=1, description="detector and embedder: dlib, retail, opencv or buffalo_l"
    )
    recognition_model: RecognitionModel = Field(
        default=DEFAULT_RECOGNITION,
        description="the Face API's name for what cameras and the command line measure; other names never meet it",
    )
    provider: Literal["cpu", "cuda"] = Field(
        default="cpu", description="what they run on; asking for cuda without one is an error"
    )
    threads: int = Field(default=1, ge=1, le=256, description="threads of one inference")
    cache: FilePath = Field(
        default=user_cache_path("faceline"), description="where verified weights are kept", examples=["models"]
    )
    source: FilePath | None = Field(
        default=None, description="folder to take weights from, instead of the network", examples=["weights"]
    )
    accept_licence: bool = Field(default=False, description="true accepts the licence of a pack that asks for it")


class Detect(Table):
    """How faces become tracks. A track is one passage of one person before one camera."""

    batch: int = Field(default=8, ge=1, le=256, description="frames of one step")
    confirm_after: int = Field(default=2, ge=1, le=100, description="sightings before a track is published")
    track_gap: float = Field(default=1.0, gt=0, le=60, description="seconds unseen that end a track")
    better_by: float = Field(default=0.15, ge=0, le=1, description="gain of quality that publishes a new best shot")


Engine = Literal["milvus", "exact"]


class Identify(Table):
    """How faces get their names."""

    engine: Engine = Field(
        default="milvus",
        description="what searches: milvus, or exact, which keeps every template in memory and misses none",
    )

    keep: Seconds = Field(
        default=DAY, ge=60, le=2 * DAY, description='seconds an identification lives, or a text such as "24h"'
    )
    candidates: int = Field(default=5, ge=1, le=100, description="nearest templates to look at")
    thresholds: dict[str, Annotated[float, Field(ge=-1, le=1)]] = Field(
        default={},
        examples=[{"dlib": 0.5}],
        description="similarity from which a model names somebody, where its own does not suit",
    )


class Erase(Table):
    """How deletions are seen through."""

    patience: Seconds = Field(
        default=3, ge=0, le=60, description="seconds that identify may be silent before its work is taken from it"
    )


class Logs(Table):
    """The processes' logs: JSON lines in the home, rotated; they hold no names and no templates."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="from which severity on")
    max_mb: int = Field(default=10, ge=1, le=1_000, description="MiB of a log before it is rotated")
    keep: int = Field(default=3, ge=0, le=100, description="rotated logs to keep of each process")


class Metrics(Table):
    """Health and Prometheus metrics: one port of loopback per process."""

    port: int = Field(
        default=0, ge=0, le=65_000, description="first port; the processes count on from it. 0 takes free ones"
    )


class Clock(Table):
    """The wall clock that every process is given. To move it is for tests: it moves every promise about time."""

    offset: Seconds = Field(
        default=0, description=f"how far to move it ahead; refused unless {MOVE_CLOCK}=1 is set", examples=["24h"]
    )

    @field_validator("offset", mode="after")
    @classmethod
    def _said_twice(cls, offset: int) -> int:
        if offset and os.environ.get(MOVE_CLOCK) != "1":
            raise ValueError(f"a moved clock ends faces and frames early; for a test, set {MOVE_CLOCK}=1 as well")
        return offset


def secret(variable: str, setting: str, file: Path | None) -> str | None:
    """What the environment's variable holds, or the file; SettingsError naming the setting when it cannot be read."""
    if variable in os.environ:
        return os.environ[variable]
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            [f"{FILE}: {setting}: {file} cannot be read ({type(error).__name__}); check path and rights"]
        ) from None
