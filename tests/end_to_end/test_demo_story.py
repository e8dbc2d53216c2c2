"""The demo's story, told again by the topics it left: read by a client that knows nothing of Faceline's code."""

import asyncio
import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition
from PIL import Image

from connectors.broker import EmbeddedBroker
from pipeline.lifetimes import SKEW

pytestmark = [pytest.mark.broker, pytest.mark.milvus, pytest.mark.rtsp, pytest.mark.timeout(300)]

DEMO = Path(__file__).parents[2] / "deploy" / "demo.sh"
READ = ("persons", "templates", "identifications", "faces", "ledger", "gaps", "dead-letters")


@dataclass(frozen=True, slots=True)
class Record:
    """What any client sees of a record; `time` is the broker's, in milliseconds."""

    partition: int
    offset: int
    time: int
    key: str
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Told:
    """What a demo printed, where it put its sheet, and what its topics hold, in their order."""

    output: str
    sheet: Path
    topics: dict[str, list[Record]]

    def identifications(self) -> list[tuple[Record, dict[str, Any] | None]]:
        return [
            (each, None if each.value is None else json.loads(each.value)) for each in self.topics["identifications"]
        ]

    def persons(self) -> list[str]:
        """The personIds in the order of their enrolment."""
        return [each.key for each in self.topics["persons"] if each.value is not None]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, kafka_jars: Path) -> Told:
    """One demo, played to its end; then its broker once more, for whoever wants to read."""
    folder = tmp_path_factory.mktemp("demo")
    home, sheet = folder / "home", folder / "sheet.png"
    command = ["sh", str(DEMO), "--home", str(home), "--sheet", str(sheet)]
    played = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert played.returncode == 0, played.stdout + played.stderr

    async def again() -> dict[str, list[Record]]:
        broker = EmbeddedBroker(home / "kafka", kafka_jars)
        await broker.start()
        try:
            return await asyncio.to_thread(everything, broker.bootstrap)
        finally:
            await broker.stop()

    return Told(played.stdout, sheet, asyncio.run(again()))


def everything(bootstrap: str) -> dict[str, list[Record]]:
    """Every committed record of the topics that matter."""
    settings = {"bootstrap.servers": bootstrap, "group.id": "auditor", "enable.partition.eof": True}
    consumer = Consumer({**settings, "isolation.level": "read_committed", "enable.auto.commit": False})
    try:
        known = consumer.list_topics(timeout=30).topics
        places = [TopicPartition(name, number, OFFSET_BEGINNING) for name in READ for number in known[name].partitions]
        consumer.assign(places)
        found: dict[str, list[Record]] = defaultdict(list)
        for name, record in records(consumer, len(places)):
            found[name].append(record)
        return found
    finally:
        consumer.close()


def records(consumer: Consumer, partitions: int) -> Iterator[tuple[str, Record]]:
    ends = 0
    while ends < partitions:
        message: Any = consumer.poll(30)  # its stubs allow nothing to be there, which is so before the first record
        assert message is not None, "Kafka fell silent"
        if message.error() is None:
            _, time = message.timestamp()
            key, value = message.key().decode(), message.value()
            yield message.topic(), Record(message.partition(), message.offset(), time, key, value)
        else:
            assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
            ends += 1


def test_who_is_not_enrolled_yet_is_unknown_and_who_is_enrolled_is_named(told: Told) -> None:
    eileen, grace = told.persons()
    joined = next(each.time for each in told.topics["persons"] if each.key == grace)
    before = [said for record, said in told.identifications() if said and record.time < joined]
    after = [said for record, said in told.identifications() if said and record.time >= joined]
    assert {said.get("personId") for said in before} == {eileen, None}
    assert grace in {said.get("personId") for said in after}
    assert eileen in {said.get("personId") for said in after}
    for said in (*before, *after):
        assert (said["decision"] == "identified") == ("personId" in said)
        assert said["decision"] == "unknown" or said["similarity"] >= said["threshold"]


def test_a_deletion_reaches_every_topic_as_tombstones(told: Told) -> None:
    eileen, _ = told.persons()
    assert [each.key for each in told.topics["persons"] if each.value is None] == [eileen]
    hers = {each.key for each in told.topics["templates"] if each.key.startswith(f"{eileen}/")}
    assert {each.key for each in told.topics["templates"] if each.value is None} == hers != set()
    named = {record.key for record, said in told.identifications() if said and said.get("personId") == eileen}
    assert {record.key for record, said in told.identifications() if said is None} == named != set()


def test_nobody_is_called_by_a_deleted_name_any_more(told: Told) -> None:
    eileen, grace = told.persons()
    said = told.identifications()
    assert len({record.partition for record, _ in said}) == 1  # one camera: its offsets are an order
    deleted = min(record.offset for record, each in said if each is None)
    since = [each for record, each in said if each and record.offset > deleted]
    assert {None} <= {each.get("personId") for each in since} <= {grace, None}
    standing = {record.key: each for record, each in said}
    assert eileen not in {each.get("personId") for each in standing.values() if each}


def test_a_face_ends_at_its_time_and_stays_ended(told: Told) -> None:
    born = {each.key: each for each in told.topics["faces"] if each.value is not None}
    ended = {each.key: each for each in told.topics["faces"] if each.value is None}
    assert ended
    for key, tombstone in ended.items():
        face = msgspec.msgpack.decode(born[key].value or b"")
        late = tombstone.time / 1000 - face["expires"].timestamp()
        assert 0 <= late <= 15
        lived = face["expires"].timestamp() - face["captured_at"].timestamp() + SKEW.total_seconds()
        assert 59.9 < lived < 75
        assert born[key].offset < tombstone.offset
    assert next(iter(ended)) in told.output


def test_every_sampled_frame_is_accounted_for(told: Told) -> None:
    sampled, fates = 0, defaultdict[str, set[tuple[str, int]]](set)
    ledgers = {each.key: msgspec.msgpack.decode(each.value or b"") for each in told.topics["ledger"]}
    for ledger in ledgers.values():
        assert ledger.get("closed", False) or ledger["stage"] == "detect"
        sampled += ledger.get("sampled", 0)
        for fate in ("processed", "skipped"):
            for first, last in ledger.get(fate, ()):
                fates[fate] |= {(ledger["session"], number) for number in range(first, last + 1)}
    for record in told.topics["gaps"]:
        gap = msgspec.msgpack.decode(record.value or b"")
        fates["gaps"] |= {(gap["session"], number) for number in range(gap["first"], gap["last"] + 1)}
    assert not told.topics["dead-letters"]
    assert sampled > 100
    assert len(set().union(*fates.values())) == sum(map(len, fates.values())) == sampled
    line = r"(\d+) sampled = (\d+) processed \+ (\d+) skipped \+ (\d+) gaps \+ 0 dead letters"
    printed = re.search(line, told.output)
    assert printed is not None
    assert [int(number) for number in printed.groups()] == [
        sampled, len(fates["processed"]), len(fates["skipped"]), len(fates["gaps"]),
    ]  # fmt: skip


def test_no_name_travels_in_the_clear(told: Told) -> None:
    for name in (b"Eileen", b"Grace", b"Hopper", b"Collins"):
        assert not [topic for topic, found in told.topics.items() for each in found if name in (each.value or b"")]


def test_the_sheet_is_a_picture_for_its_owner_alone(told: Told) -> None:
    assert str(told.sheet) in told.output
    assert told.sheet.stat().st_mode & 0o777 == 0o600
    with Image.open(told.sheet) as picture:
        assert (picture.format, picture.mode) == ("PNG", "RGB")
        assert picture.width > 800
