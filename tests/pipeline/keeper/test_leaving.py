"""Who was enrolled and seen leaves every file: the deleted person, and the face by its TTL. The clock is the test's.

Everything in which it has to be while it lives is read first, so that its absence afterwards says something.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from connectors.broker import EmbeddedBroker
from connectors.kafka_admin import KafkaAdmin
from connectors.kafka_cluster import observe
from pipeline import logs, wiring
from pipeline.auditing import canary
from pipeline.auditing.canary import Canary
from pipeline.auditing.files import looked
from pipeline.changes import Put
from pipeline.codec import seal
from pipeline.erasing.bounds import NUDGE_S, of_topics
from pipeline.erasing.encodings import Vector, forms
from pipeline.erasing.search import Needle, Search
from pipeline.galleries import Searched
from pipeline.home import Home
from pipeline.lifetimes import FACE_BUCKET_S, face_key
from pipeline.operations.rebuilding import kept_at_most
from pipeline.operations.waiting import enrolled
from pipeline.records import Face, Watch
from pipeline.stages.expire import Expire
from pipeline.topology import COMMANDS, ENROL, FACES, TEMPLATES
from pipeline.wiring.asking import everything_told
from pipeline.wiring.erasing import LITE_TEMPLATES, in_force
from pipeline.wiring.galleries.milvus import place
from pipeline.wiring.galleries.renewing import renewed
from pipeline.wiring.keys import key_rows
from tests.pipeline.api.house import STAGES_OF_THE_API, House, house
from tests.pipeline.conftest import Cluster
from tests.pipeline.keeper.world import camera_face
from tests.pipeline.receipts.on_kafka import put_changes

pytestmark = [pytest.mark.broker, pytest.mark.milvus, pytest.mark.timeout(150)]

FACE_TTL_S = 600
SHORT = {"segment.ms": "1000", "max.compaction.lag.ms": "1000"}
SLACK_S = 10.0  # what a machine that does other work may take for itself


@dataclass(frozen=True, slots=True)
class Places:
    """Every folder in which anything of this deployment is."""

    home: Path
    milvus: Path
    kafka: Path
    prefix: str

    def of(self, needles: list[Needle]) -> dict[str, set[str]]:
        """Where each is found: a topic, a folder of the home, "milvus"."""
        search, found = Search(needles), defaultdict[str, set[str]](set)
        for each in looked(self.home, search):
            for find in each.finds:
                found[find.name].add(each.path.relative_to(self.home).parts[0])
        for each in looked(self.milvus, search):
            for find in each.finds:
                found[find.name].add("milvus")
        for partition in self.kafka.glob(f"{self.prefix}*"):
            topic = partition.name.removeprefix(self.prefix).rpartition("-")[0]
            for each in looked(partition, search):
                for find in each.finds:
                    found[find.name].add(topic)
        return dict(found)


@pytest.fixture
async def running(broker: EmbeddedBroker, milvus: str, tmp_path: Path) -> AsyncIterator[House]:
    stages = (*STAGES_OF_THE_API, "identify")
    home = Home(tmp_path / "home")
    home.prepare()
    with _noted(home):
        async with house(broker.bootstrap, milvus, home.path, stages=stages, erase={"patience": 10}) as opened:
            yield opened


@contextmanager
def _noted(home: Home) -> Iterator[None]:
    """All that is said goes to the home's logs, as if each stage had its own process."""
    handler = logs.PrivateFile(home.logs / "house.jsonl")
    handler.setFormatter(logs.AllowListed("house"))
    speaker = logging.getLogger("pipeline")
    before = speaker.level
    speaker.addHandler(handler)
    speaker.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        speaker.setLevel(before)
        speaker.removeHandler(handler)
        handler.close()


async def test_who_was_seen_leaves_every_file_of_the_home_the_index_and_the_broker(
    running: House,
    broker: EmbeddedBroker,
    milvus_data: Path,
    record_property: Callable[[str, object], None],
) -> None:
    cluster = Cluster(running.access, running.settings.deployment())
    places = Places(running.home.path, milvus_data, broker.data, cluster.deployment.prefix)
    bird = await _enrolled(running)
    face = await _seen(running, bird, cluster)
    needles = await asyncio.to_thread(_needles, running, bird, face)
    there = await asyncio.to_thread(places.of, needles)
    assert there == {
        "sealed template": {"commands", "templates"},
        "sealed face": {"faces"},
        "person's key": {"keys"},
        "face's key": {"keys"},
        "vector": {"milvus"},
    }, "the scanner must see them while they live, and nothing in the clear"
    assert (running.home.logs / "house.jsonl").stat().st_size > 0

    await canary.deleted(running.service.client, bird)
    still = await asyncio.to_thread(places.of, needles)
    assert "person's key" not in still, "overwritten before the deletion was answered"
    await _shortened(cluster)
    promised = await _promised(running, cluster)
    # From here on the face and its key are past their time, and the eraser's nudges are due.
    running.clock.advance(FACE_TTL_S + FACE_BUCKET_S + 60)
    began = looked = time.monotonic()
    left = dict[str, float]()
    renewing = asyncio.create_task(_renewed(running))
    while left.keys() != promised.keys() and looked < began + 60:
        await asyncio.sleep(0.2)
        looked = time.monotonic()
        still = await asyncio.to_thread(places.of, needles)
        left |= dict.fromkeys(promised.keys() - still.keys() - left.keys(), looked - began)
    await renewing
    for name, bound in sorted(promised.items()):
        record_property(name, f"gone after {left.get(name, -1.0):.1f} s, promised {bound:.1f} s")
        assert left.get(name, float("inf")) <= bound + SLACK_S, (name, promised, left)
    assert await asyncio.to_thread(places.of, needles) == {}


async def _enrolled(running: House) -> Canary:
    """A drawn person, enrolled by the operations that everybody uses, as soon as Milvus holds the template."""
    client, settings = running.service.client, running.settings
    recognition, deployment = settings.recognition(), settings.deployment()

    def wrapped(kid: str) -> bytes:
        with closing(key_rows(settings, running.home)) as rows:
            found = rows.wrapped(kid)
        assert found is not None
        return found.wrapped

    dimension = wiring.catalogue().pack(recognition.pack).dimension
    bird = await canary.enrolled(client, recognition, dimension, wrapped)
    with closing(KafkaAdmin(running.access)) as admin:
        await enrolled(client, admin, deployment.group(ENROL), bird.scope, deployment)
    with closing(running.parts.milvus()) as milvus:
        held = milvus.vectors(place(Searched("persongroup", "", recognition.pack)), [bird.face_id])
    assert bird.face_id in held
    return canary.as_stored(bird, held[bird.face_id])


async def _seen(running: House, bird: Canary, cluster: Cluster) -> Face:
    """A face as detect seals it, of which identify has told that it is this person's."""
    blank, expires = camera_face("passage"), running.clock() + timedelta(seconds=FACE_TTL_S)
    assert blank.shot is not None
    bucket = face_key(expires)
    kid = running.keys.named(bucket.name, bucket.expires)
    plain = bird.template.astype("<f4").tobytes()
    face = msgspec.structs.replace(
        blank,
        expires=expires,
        recognition=running.settings.recognition(),
        template=seal(running.keys, kid, plain, topic=FACES, key=blank.face_id, field="template", expires=expires),
        shot=msgspec.structs.replace(blank.shot, watch=Watch(collections=(bird.scope,))),
    )
    await put_changes(cluster, [(FACES, 0, Put(face.face_id, face))])
    async with asyncio.timeout(30):
        while bird.person_id not in {  # noqa: ASYNC110
            each.person_id for each in await everything_told(running.access, cluster.deployment)
        }:
            await asyncio.sleep(0.1)
    return face


def _needles(running: House, bird: Canary, face: Face) -> list[Needle]:
    (template,) = running.service.client.tables.live.templates_of(bird.person_id)
    with closing(key_rows(running.settings, running.home)) as rows:
        bucket = rows.wrapped(face.template.kid)
    assert bird.stored is not None
    assert bucket is not None
    return [
        Needle("sealed template", template.vector.ciphertext),
        Needle("sealed face", face.template.ciphertext),
        Needle("person's key", bird.wrapped),
        Needle("face's key", bucket.wrapped),
        *_forms("vector", bird.stored),
        *_forms("template in the clear", bird.template),
    ]


def _forms(name: str, vector: Vector) -> list[Needle]:
    return [Needle(name, text) for text in forms(vector).values()]


async def _shortened(cluster: Cluster) -> None:
    """The map's minutes and hours as a second: of what is enrolled, and of faces also their retention."""
    with closing(KafkaAdmin(cluster.access)) as admin:
        for topic in (COMMANDS, TEMPLATES, FACES):
            short = SHORT if "compact" in topic.cleanup else {"segment.ms": SHORT["segment.ms"]}
            kept = {"retention.ms": "1000"} if topic is FACES else {}
            await asyncio.to_thread(admin.alter, cluster.deployment.name(topic), short | kept)


async def _promised(running: House, cluster: Cluster) -> dict[str, float]:
    """Seconds from the moment at which the clock is moved, of which a stage may learn as late as at its next sweep."""
    found = in_force(await observe(cluster.access))
    # Nobody here leaves a transaction open.
    quick = {"transaction.max.timeout.ms": "0", "transaction.abort.timed.out.transaction.cleanup.interval.ms": "0"}
    found = replace(found, brokers={node: {**told, **quick} for node, told in found.brokers.items()})
    short = [replace(topic, segment_ms=1000) for topic in (COMMANDS, TEMPLATES, FACES)]
    bound = {each.store: each.seconds or 0.0 for each in of_topics(cluster.deployment, found, short)}
    sweep = Expire().sweep.total_seconds()
    return {
        # The nudge is due at once.
        "sealed template": max(bound["commands"], bound["templates"]) - NUDGE_S,
        "sealed face": sweep + bound["faces"],
        "face's key": sweep,
        "vector": kept_at_most(running.settings.milvus.renew, LITE_TEMPLATES),
    }


async def _renewed(running: House) -> None:
    """What enrol's process does beside the stage, once it has heard of the deletion."""
    async with asyncio.timeout(60):
        while not await renewed(running.parts, running.access, running.clock, grace=0.1):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
