"""Recognition on a real broker, beside the real control stage: what one process was told, every other one knows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from connectors import kafka
from connectors.keystore import KeyStore
from models import ModelError
from models.catalogue import load_catalogue
from pipeline.changes import Put
from pipeline.codec import NewerSchemaError, encode, seal
from pipeline.lifetimes import face_key
from pipeline.operations import Refused, collections, identification, persons, similarity, verification
from pipeline.operations.client import Client
from pipeline.operations.enrolled import add as add_face
from pipeline.operations.faces import Measured
from pipeline.operations.identification import AmongPersons, InGroup
from pipeline.operations.photos import Finding
from pipeline.operations.recogniser import Recogniser
from pipeline.records import DIRECTORY, Box, Face, Shot
from pipeline.settings import Identify, Kafka, Settings
from pipeline.settings.tables import Engine
from pipeline.topology import ENROL, FACES, TEMPLATES
from pipeline.wiring.asking import client
from pipeline.wiring.recognising import recogniser
from pipeline.wiring.stages import Parts
from tests.pipeline.conftest import Cluster
from tests.pipeline.examples import WATCH, frame
from tests.pipeline.kept import control
from tests.pipeline.operations.laboratory import LANDMARKS, RETAIL, Vector, likeness, portrait

pytestmark = pytest.mark.broker


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    return KeyStore.create(tmp_path / "keys")


def parts(cluster: Cluster, keys: KeyStore, engine: Engine = "exact", **thresholds: float) -> Parts:
    settings = Settings(
        kafka=Kafka(prefix=cluster.deployment.prefix), identify=Identify(engine=engine, thresholds=thresholds)
    )
    return Parts(
        settings=settings,
        keys=keys,
        secret=b"secret",
        catalogue=load_catalogue(),
        models=lambda: pytest.fail("recognition loads no models"),
        milvus=lambda: pytest.fail("this one asks no Milvus"),
        signer=lambda: pytest.fail("recognition signs nothing"),
        bounds=lambda: pytest.fail("recognition promises nothing"),
    )


@asynccontextmanager
async def process(cluster: Cluster, keys: KeyStore) -> AsyncIterator[tuple[Client, Recogniser]]:
    """A client and a recogniser, as one API process has them."""
    async with (
        client(cluster.access, cluster.deployment, keys, "subscription") as asking,
        recogniser(parts(cluster, keys), cluster.access, asking) as recognising,
    ):
        yield asking, recognising


async def face(recognising: Recogniser, vector: Vector, seconds: int = 86_400) -> str:
    (face_id,) = await recognising.faces.issue([measured(vector)], RETAIL, seconds)
    return face_id


def measured(vector: Vector) -> Measured:
    return Measured(Finding(Box(10, 20, 90, 90), LANDMARKS, 0.9), portrait(vector))


async def indexed(cluster: Cluster) -> None:
    """What enrol would commit once its index is behind everything: an exact gallery needs no more than this word."""
    consumer = kafka.consumer(cluster.access, group=cluster.deployment.group(ENROL))
    consumer.subscribe([cluster.deployment.name(TEMPLATES)])
    await consumer.start()
    while not await consumer.getmany(timeout_ms=1000):
        pass
    await consumer.commit()
    await consumer.stop()


async def test_a_face_that_one_process_issued_every_other_finds_at_once(cluster: Cluster, keys: KeyStore) -> None:
    async with process(cluster, keys) as (_, one), process(cluster, keys) as (_, other):
        for number in range(20):
            first, second = await face(one, likeness(number)), await face(other, likeness(number, 1))
            assert (await verification.faces(one, first, second)).identical
            assert (await verification.faces(other, first, second)).identical
        async with process(cluster, keys) as (_, late):
            (opened,) = await late.faces.opened([first])
            np.testing.assert_array_equal(opened.vector, likeness(19))


async def test_a_face_that_passed_a_camera_is_verified_like_one_of_the_api(cluster: Cluster, keys: KeyStore) -> None:
    """As the detect stage seals and writes it: in its camera's partition, whatever its faceId says."""
    expires = datetime.now(UTC) + timedelta(minutes=10)
    kid, vector = keys.named(face_key(expires).name, face_key(expires).expires), likeness(1, 1)
    passed = Face(
        face_id="passed",
        expires=expires,
        captured_at=datetime.now(UTC),
        recognition=RETAIL,
        template=seal(keys, kid, vector.tobytes(), topic=FACES, key="passed", field="template", expires=expires),
        box=Box(1, 2, 90, 90),
        landmarks=(),
        quality=0.9,
        shot=Shot(frame=frame().id, track_id="t0", revision=0, watch=WATCH),
    )
    elsewhere = (cluster.deployment.scale.of_face("passed") + 1) % cluster.deployment.scale.streams
    async with process(cluster, keys) as (_, recognising):
        producer, wire = kafka.producer(cluster.access), encode(FACES, Put("passed", passed))
        await producer.start()
        name = cluster.deployment.name(FACES)
        await producer.send_and_wait(name, wire.value, wire.key, partition=elsewhere, headers=list(wire.headers))
        await producer.stop()
        probe = await face(recognising, likeness(1))
        assert (await verification.faces(recognising, probe, "passed")).identical
        at_its_end = replace(recognising, faces=replace(recognising.faces, clock=lambda: expires))
        with pytest.raises(Refused) as refusal:
            await verification.faces(at_its_end, probe, "passed")
        assert refusal.value.code == "FaceNotFound"


async def test_everybody_is_found_wherever_they_were_enrolled_and_nobody_once_deleted(
    cluster: Cluster, keys: KeyStore, tmp_path: Path
) -> None:
    async with (
        control(cluster, keys, tmp_path),
        process(cluster, keys) as (asking, one),
        process(cluster, keys) as (elsewhere, other),
    ):
        for scope in ("largepersongroup/g", "facelist/l"):
            await collections.add(asking, scope, recognition=RETAIL, name="it", request_id=scope)
        ada = await persons.add(
            asking, "largepersongroup/g", "Ada", [portrait(likeness(1, 1))], recognition=RETAIL, request_id="a"
        )
        grace = await persons.add(
            asking, DIRECTORY, "Grace", [portrait(likeness(2, 1))], recognition=RETAIL, request_id="b"
        )
        listed = await add_face(
            asking, "facelist/l", None, portrait(likeness(3, 1)), recognition=RETAIL, request_id="c"
        )
        probes = [await face(one, likeness(who)) for who in (1, 2, 3)]
        await one.trainer.begin(asking, "largepersongroup/g", request_id="t")
        await indexed(cluster)

        async def named() -> list[list[str]]:
            in_group = await identification.identify(elsewhere, other, probes, InGroup("largepersongroup/g"))
            in_directory = await identification.identify(elsewhere, other, probes, AmongPersons(("*",)))
            in_list = await similarity.in_list(elsewhere, other, probes[2], "facelist/l")
            return [
                [each.person_id for found in in_group for each in found.candidates],
                [each.person_id for found in in_directory for each in found.candidates],
                [each.face_id for each in in_list],
            ]

        assert await named() == [[ada], [grace], [listed]]
        await persons.delete(asking, "largepersongroup/g", ada, request_id="d")
        await persons.delete(asking, DIRECTORY, grace, request_id="e")
        assert (await named())[:2] == [[], []]
        with pytest.raises(Refused) as refusal:
            await verification.person(elsewhere, other, probes[1], DIRECTORY, grace)
        assert refusal.value.code == "PersonNotFound"


async def test_a_view_that_ended_is_no_view(cluster: Cluster, keys: KeyStore) -> None:
    """A reader that broke must not leave callers with yesterday's faces, nor waiting for ever."""
    async with process(cluster, keys) as (_, recognising):
        producer = kafka.producer(cluster.access)
        await producer.start()
        newer = [("faceline-schema", b"99")]
        await producer.send_and_wait(cluster.deployment.name(FACES), b"\x80", b"f0", partition=0, headers=newer)
        await producer.stop()

        async def noticed() -> None:
            while True:
                await recognising.faces.catch_up()

        with pytest.raises(NewerSchemaError, match="newer than this release"):
            await asyncio.wait_for(noticed(), 10)


async def test_a_threshold_of_no_use_is_told_before_anything_is_recognised(cluster: Cluster, keys: KeyStore) -> None:
    async with client(cluster.access, cluster.deployment, keys, "subscription") as asking:
        with pytest.raises(ModelError, match="the threshold 1 is of no use"):
            async with recogniser(parts(cluster, keys, retail=1.0), cluster.access, asking):
                pass
