"""The only place where pipeline, connectors and models meet.

Engines are loaded where they are used: a process that was killed is missed until all that it loads is loaded again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from connectors.kafka import KafkaAccess
from models.catalogue import Catalogue, load_catalogue
from pipeline.home import Home, HomeError
from pipeline.records import Bound, Recognition
from pipeline.settings import Settings
from pipeline.wiring.keys import erase, examined, key_store
from pipeline.wiring.stages import Parts, stage

if TYPE_CHECKING:
    from connectors.broker import EmbeddedBroker
    from connectors.kafka_admin import KafkaAdmin
    from connectors.milvus import Milvus
    from connectors.milvus_server import EmbeddedMilvus
    from models.pack import FaceModels
    from models.store import ModelStore
    from pipeline.operations.detection import Observer
    from pipeline.receipts import Signer

__all__ = [
    "Parts",
    "admin",
    "catalogue",
    "embedded_broker",
    "embedded_milvus",
    "erase",
    "examined",
    "face_models",
    "kafka_access",
    "key_store",
    "milvus",
    "model_store",
    "observers",
    "parts",
    "stage",
]

START_FIRST = "start it with: faceline up"


def kafka_access(settings: Settings, home: Home) -> KafkaAccess:
    """The operator's Kafka, or the one that runs in the home; HomeError when none does."""
    given = settings.kafka
    if given.bootstrap is not None:
        return KafkaAccess(
            given.bootstrap,
            security_protocol=given.security_protocol,
            sasl_mechanism=given.sasl_mechanism,
            username=given.username,
            password=given.password(),
            ca_file=given.ca_file,
            certificate_file=given.certificate_file,
            key_file=given.key_file,
        )
    running = home.running()
    if running is None:
        raise HomeError(f"nothing runs in the home {home.path}; {START_FIRST}")
    return KafkaAccess(running.bootstrap)


def admin(settings: Settings, home: Home) -> KafkaAdmin:
    """Administration of that Kafka."""
    from connectors.kafka_admin import KafkaAdmin

    return KafkaAdmin(kafka_access(settings, home))


def milvus(settings: Settings, home: Home) -> Milvus:
    """The operator's Milvus, or the Milvus Lite that runs in the home; HomeError when none does."""
    from connectors.milvus import Milvus

    if settings.milvus.uri is not None:
        return Milvus(settings.milvus.uri, settings.milvus.token())
    running = home.running()
    if running is None:
        raise HomeError(f"nothing runs in the home {home.path}; {START_FIRST}")
    return Milvus(running.milvus_uri)


def embedded_broker(settings: Settings, home: Home) -> EmbeddedBroker:
    """A Kafka of our own in the home; fetches its jars the first time, which takes some seconds."""
    from connectors.broker import EmbeddedBroker
    from connectors.broker_jars import fetch_jars

    jars = fetch_jars(settings.models.cache / "kafka") if settings.kafka.jars is None else settings.kafka.jars
    return EmbeddedBroker(home.kafka, jars, heap_mb=settings.kafka.heap_mb, temp=home.temp)


def embedded_milvus(settings: Settings, home: Home) -> EmbeddedMilvus:
    """A Milvus Lite of our own in the home."""
    from connectors.milvus_server import EmbeddedMilvus

    return EmbeddedMilvus(home.milvus, temp=home.temp)


def catalogue() -> Catalogue:
    """The model packs there are."""
    return load_catalogue()


def model_store(settings: Settings) -> ModelStore:
    """Where verified weights are kept on this machine."""
    from models.store import ModelStore

    return ModelStore(settings.models.cache / "models")


def face_models(settings: Settings, name: str | None = None) -> FaceModels:
    """The settings' pack, or the one of that name, ready to run; ModelError says what is missing and the cure."""
    from models.pack import load

    wanted = settings.models
    pack = catalogue().pack(name or wanted.pack)
    files = model_store(settings).ensure(pack, source=wanted.source, accept_licence=wanted.accept_licence)
    return load(pack, files, provider=wanted.provider, threads=wanted.threads)


def observers(settings: Settings) -> Callable[[Recognition], Observer]:
    """The models of any pack, under any name of the Face API's; each pack is loaded once, when it is first wanted."""
    from pipeline.wiring.asking import ModelPortraitist

    loaded = cache(lambda pack: face_models(settings, pack))
    return lambda recognition: ModelPortraitist(loaded(recognition.pack), recognition.name)


def parts(settings: Settings, home: Home) -> Parts:
    """What the stages are made of, opened at use."""
    return Parts(
        settings=settings,
        keys=key_store(settings, home),
        secret=home.secret(),
        catalogue=catalogue(),
        models=lambda: face_models(settings),
        milvus=lambda: milvus(settings, home),
        signer=lambda: _signer(settings, home),
        bounds=lambda: _bounds(settings, home),
    )


def _signer(settings: Settings, home: Home) -> Signer:
    from pipeline.wiring.receipts import signer

    return signer(settings, home)


def _bounds(settings: Settings, home: Home) -> tuple[Bound, ...]:
    from pipeline.wiring.erasing import promised, rebuilt_within

    return promised(kafka_access(settings, home), settings.deployment(), rebuilt_every=rebuilt_within(settings))
