"""One strict TOML file says everything an operator decides; it is read once and passed down.

A setting that nobody knows, a value of the wrong type and a contradiction are refused with one line each, before
anything starts. Secrets never stand in the file: it names files, and the environment can hold them.
"""

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator

from pipeline.records import Recognition
from pipeline.settings.api import API, Api
from pipeline.settings.camera import Camera
from pipeline.settings.keys import Keys
from pipeline.settings.mistakes import SettingsError, mistakes
from pipeline.settings.receipts import Receipts
from pipeline.settings.tables import FILE, Clock, Detect, Erase, Identify, Kafka, Logs, Metrics, Milvus, Models, Table
from pipeline.topology import STAGES, Deployment, Scale

__all__ = [
    "API",
    "FILE",
    "Api",
    "Camera",
    "Clock",
    "Detect",
    "Erase",
    "Identify",
    "Kafka",
    "Keys",
    "Logs",
    "Metrics",
    "Milvus",
    "Models",
    "Receipts",
    "Settings",
    "SettingsError",
    "load",
    "parse",
]


class Settings(Table):
    """Everything an operator decides."""

    kafka: Kafka = Kafka()
    milvus: Milvus = Milvus()
    keys: Keys = Keys()
    receipts: Receipts = Receipts()
    models: Models = Models()
    detect: Detect = Detect()
    identify: Identify = Identify()
    erase: Erase = Erase()
    api: Api = Api()
    logs: Logs = Logs()
    metrics: Metrics = Metrics()
    clock: Clock = Clock()
    cameras: Annotated[tuple[Camera, ...], Field(strict=False)] = Field(default=(), alias="camera")

    @field_validator("cameras", mode="after")
    @classmethod
    def _named_once(cls, given: tuple[Camera, ...]) -> tuple[Camera, ...]:
        names = [camera.name for camera in given]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"{', '.join(sorted(twice))} stands there twice; a camera's name is its own")
        return given

    def deployment(self) -> Deployment:
        """The map as these settings put it on a cluster."""
        scale = Scale(streams=self.kafka.streams, tables=self.kafka.tables)
        return Deployment(scale=scale, replication=self.kafka.replication, prefix=self.kafka.prefix)

    def now(self) -> datetime:
        """The present, aware: the only clock that stages and operations are given."""
        return datetime.now(UTC) + timedelta(seconds=self.clock.offset)

    def recognition(self) -> Recognition:
        """What the templates of cameras and of the command line may be compared with."""
        return Recognition(self.models.pack, self.models.recognition_model)

    def packs(self) -> set[str]:
        """Every model pack that some process of the deployment runs."""
        return {self.models.pack, *self.api.recognition_models.values(), *self.api.detection_models.values()}

    def metrics_port(self, process: str) -> int:
        """The port of a process of the plain deployment; 0, any free one, for others and where no port is set."""
        names = [*STAGES, API, *(f"capture-{camera.name}" for camera in self.cameras)]
        return self.metrics.port + names.index(process) if self.metrics.port and process in names else 0

    def camera(self, name: str) -> Camera:
        """The camera of that name; SettingsError when the file has none."""
        for camera in self.cameras:
            if camera.name == name:
                return camera
        known = ", ".join(camera.name for camera in self.cameras) or "none"
        raise SettingsError([f"{FILE}: no [[camera]] is called {name!r}; there is: {known}"])


def load(home: Path) -> Settings:
    """Read `<home>/faceline.toml`; its absence means the defaults. SettingsError names every mistake in it."""
    try:
        given = tomllib.loads((home / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        given = {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingsError([f"{FILE}: cannot be read: {error}"]) from None
    return parse(given, home)


def parse(given: dict[str, Any], folder: Path) -> Settings:
    """Check what a file says; its relative paths start at `folder`. SettingsError names every mistake in it."""
    try:
        return Settings.model_validate(given, context={"folder": folder})
    except ValidationError as error:
        raise SettingsError(mistakes(FILE, Settings, given, error)) from None
