"""What runs on one machine, read from the settings: services of its own, programs, and what must be ready first."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pipeline import topics, wiring
from pipeline.home import Home
from pipeline.machine.supervised import Program, Service
from pipeline.settings import API, Camera, Settings
from pipeline.topology import STAGES


@dataclass(frozen=True, slots=True)
class Machine:
    """The parts of a deployment on one machine.

    `kafka` and `milvus` make a service of our own, or are None where `bootstrap` and `milvus_uri` name the operator's.
    Everything that is called here blocks. `prepare_topics` returns what it left alone, one line each.
    """

    programs: Mapping[str, Program]
    prepare_topics: Callable[[], list[str]]
    prepare_models: Callable[[], None]
    another: Callable[[str, str], Program]
    kafka: Callable[[], Service] | None = None
    milvus: Callable[[], Service] | None = None
    bootstrap: str = ""
    milvus_uri: str = ""
    finishing: frozenset[str] = field(default_factory=frozenset)


def machine(home: Home, settings: Settings) -> Machine:
    """Everything that `faceline up` runs for these settings."""

    def prepare_topics() -> list[str]:
        return topics.apply(wiring.admin(settings, home), settings.deployment()).refused

    def prepare_models() -> None:
        models, store = settings.models, wiring.model_store(settings)
        for name in sorted(settings.packs()):
            pack = wiring.catalogue().pack(name)
            store.ensure(pack, source=models.source, accept_licence=models.accept_licence)

    def another(stage: str, instance: str) -> Program:
        return _program(home, f"{stage}-{instance}", "worker", stage, "--instance", instance)

    stages = {stage: _program(home, stage, "worker", stage) for stage in STAGES}
    cameras = {
        capture_name(camera): _program(home, capture_name(camera), "capture", camera.name)
        for camera in settings.cameras
    }
    return Machine(
        programs={**stages, API: _program(home, API, "api"), **cameras},
        prepare_topics=prepare_topics,
        prepare_models=prepare_models,
        another=another,
        kafka=None if settings.kafka.bootstrap else lambda: wiring.embedded_broker(settings, home),
        milvus=None if settings.milvus.uri else lambda: wiring.embedded_milvus(settings, home),
        bootstrap=settings.kafka.bootstrap or "",
        milvus_uri=settings.milvus.uri or "",
        finishing=frozenset(capture_name(c) for c in settings.cameras if c.file is not None and not c.loop),
    )


def capture_name(camera: Camera) -> str:
    """The name of a camera's process."""
    return f"capture-{camera.name}"


def faceline(home: Home, *arguments: str) -> list[str]:
    """The command line of one of our own processes, in this interpreter and without the working folder on its path."""
    return [sys.executable, "-P", "-m", "pipeline.commands.processes", "--home", str(home.path), *arguments]


def _program(home: Home, name: str, *arguments: str) -> Program:
    return Program(faceline(home, *arguments), home.logs / f"{name}.out", home.temp)
