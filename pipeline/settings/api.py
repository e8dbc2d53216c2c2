"""The table of the HTTP door: where it is, who comes in, how often, and what the Face API's model names mean here."""

import re
from ipaddress import ip_network
from typing import Annotated, Final, Literal

from pydantic import Field, field_validator, model_validator

from pipeline.records import RecognitionModel
from pipeline.settings.tables import FilePath, Seconds, Table

API: Final = "api"  # the name of its process
HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*", re.IGNORECASE)
DetectionModel = Literal["detection_01", "detection_02", "detection_03"]
PackName = Annotated[str, Field(min_length=1)]


class Api(Table):
    """The Face API over HTTP."""

    host: str = Field(default="127.0.0.1", min_length=1, description="address to listen on; 0.0.0.0 for all of them")
    port: int = Field(default=8420, ge=0, le=65_535, description="its port; 0 takes a free one and keeps it")
    certificate_file: FilePath | None = Field(
        default=None, description="PEM of the certificate chain, for https", examples=["server.pem"]
    )
    key_file: FilePath | None = Field(default=None, description="PEM of the certificate's key", examples=["server.key"])
    keys_file: FilePath | None = Field(
        default=None,
        description="file with the two access keys, one a line; without it they are drawn and kept in the home",
        examples=["api-keys"],
    )
    rate: float = Field(default=100.0, ge=0.1, le=1_000_000, description="requests a second of one access key")
    burst: int = Field(default=200, ge=1, le=1_000_000, description="requests of one access key at once")
    patience: Seconds = Field(
        default=30, ge=1, le=60, description="seconds a request waits for the stages behind it, then it is answered 503"
    )
    allow_hosts: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        default=(),
        description="hosts, addresses and networks that images may come from although they are not public",
        examples=[["photos.local", "10.1.0.0/16"]],
    )
    recognition_models: dict[RecognitionModel, PackName] = Field(
        default={},
        description="model packs behind the API's recognition models; the others mean the pack of [models]",
        examples=[{"recognition_04": "retail"}],
    )
    detection_models: dict[DetectionModel, PackName] = Field(
        default={},
        description="model packs behind the API's detection models; the others mean the pack of [models]",
        examples=[{"detection_03": "retail"}],
    )

    @field_validator("allow_hosts", mode="after")
    @classmethod
    def _hosts(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for entry in given:
            if HOST.fullmatch(entry) is None and not _is_network(entry):
                raise ValueError(f"{entry!r} is no host, address or network; write for example 10.1.0.0/16")
        return given

    @model_validator(mode="after")
    def _complete(self) -> "Api":
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("https needs both certificate_file and key_file; give both")
        return self


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True
