"""One way to say how Kafka is reached; clients that lose nothing, show nothing uncommitted and fence the old owner."""

import asyncio
import logging
import os
import secrets
import sys
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaError, ProducerFenced  # type: ignore[import-untyped]

from connectors import ServiceRefused
from connectors.broker import EmbeddedBroker
from connectors.kafka import SESSION_MS, KafkaAccess, Sparing, consumer, producer, quiet_logs
from connectors.kafka_admin import KafkaAdmin, TopicPlan
from connectors.kafka_leaving import leaves_at_stop
from tests.latin_headers import Latin, let_producers_write_latin

MEMBER = """
import asyncio, sys
from connectors.kafka import KafkaAccess, consumer

async def main() -> None:
    member = consumer(KafkaAccess(sys.argv[1]), group=sys.argv[2], instance="w0")
    member.subscribe([sys.argv[2]])
    await member.start()
    while not member.assignment():
        await asyncio.sleep(0.02)
    sys.stdout.write("assigned\\n")
    sys.stdout.flush()
    await asyncio.sleep(600)

asyncio.run(main())
"""
LARGEST_VALUE = (4 << 20) - 200  # the topic's limit is for the record's batch, headers included


@pytest.fixture
def access(broker: EmbeddedBroker) -> KafkaAccess:
    return KafkaAccess(broker.bootstrap)


@pytest.fixture
def topic(access: KafkaAccess) -> str:
    name = f"kafka-{secrets.token_hex(4)}"
    KafkaAdmin(access).create_topics([TopicPlan(name, 1, 1, {"cleanup.policy": "compact"})])
    return name


async def read(access: KafkaAccess, topic: str, count: int) -> list[Any]:
    reader = consumer(access, max_wait_ms=20)
    reader.subscribe([topic])
    await reader.start()
    try:
        return [await asyncio.wait_for(reader.getone(), 10) for _ in range(count)]
    finally:
        await reader.stop()


@pytest.mark.broker
async def test_a_tombstone_an_empty_value_and_the_largest_record_arrive(access: KafkaAccess, topic: str) -> None:
    sender = producer(access)
    await sender.start()
    await sender.send_and_wait(topic, secrets.token_bytes(LARGEST_VALUE), key=b"large", headers=[("h", b"1")])
    await sender.send_and_wait(topic, b"", key=b"empty")
    await sender.send_and_wait(topic, None, key=b"gone")
    await sender.stop()
    large, empty, gone = await read(access, topic, 3)
    assert (len(large.value), large.headers) == (LARGEST_VALUE, (("h", b"1"),))
    assert (empty.value, gone.value) == (b"", None)


@pytest.mark.broker
async def test_a_header_name_that_is_no_text_hides_no_record(
    access: KafkaAccess, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_producers_write_latin(monkeypatch)
    sender = producer(access)
    await sender.start()
    batch = sender.create_batch()
    for key, name in ((b"before", "plain"), (b"odd", Latin("x\xff")), (b"after", "plain")):
        batch.append(key=key, value=b"v", timestamp=None, headers=[(name, b"1")])
    await (await sender.send_batch(batch, topic, partition=0))
    await sender.stop()
    found = await read(access, topic, 3)
    assert [(record.offset, record.key, record.value) for record in found] == [
        (0, b"before", b"v"),
        (1, b"odd", b"v"),
        (2, b"after", b"v"),
    ]
    assert [record.headers[0][0] for record in found] == ["plain", "x\ufffd", "plain"]


@pytest.mark.broker
async def test_only_what_was_committed_is_read(access: KafkaAccess, topic: str) -> None:
    sender = producer(access, transactional_id=f"{topic}-0")
    await sender.start()
    await sender.begin_transaction()
    await sender.send_and_wait(topic, b"aborted", key=b"k")
    await sender.abort_transaction()
    async with sender.transaction():
        await sender.send_and_wait(topic, b"committed", key=b"k")
    await sender.stop()
    assert [record.value for record in await read(access, topic, 1)] == [b"committed"]


@pytest.mark.broker
async def test_a_new_owner_fences_the_old_one(access: KafkaAccess, topic: str) -> None:
    old = producer(access, transactional_id=f"{topic}-0")
    await old.start()
    await old.begin_transaction()
    await old.send_and_wait(topic, b"open", key=b"k")
    new = producer(access, transactional_id=f"{topic}-0")
    await new.start()
    async with new.transaction():
        await new.send_and_wait(topic, b"new", key=b"k")
    with pytest.raises(ProducerFenced):
        await old.commit_transaction()
    await new.stop()
    await old.stop()
    assert [record.value for record in await read(access, topic, 1)] == [b"new"]


@pytest.mark.broker
async def test_a_killed_static_member_is_replaced_at_once(access: KafkaAccess, topic: str) -> None:
    sender = producer(access)
    await sender.start()
    await sender.send_and_wait(topic, b"v", key=b"k")
    await sender.stop()
    member = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", MEMBER, access.bootstrap, topic),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert member.stdout is not None
    try:
        assert await asyncio.wait_for(member.stdout.readline(), 20) == b"assigned\n"
    finally:
        member.kill()
        await member.wait()
    successor = consumer(access, group=topic, instance="w0")
    successor.subscribe([topic])
    try:
        async with asyncio.timeout(SESSION_MS / 2000):  # its session would last twice as long
            await successor.start()
            await successor.getone()
    finally:
        await successor.stop()


@pytest.mark.broker
async def test_reset_none_raises_where_nothing_was_committed(access: KafkaAccess, topic: str) -> None:
    reader = consumer(access, group=topic, reset="none")
    reader.subscribe([topic])
    await reader.start()
    with pytest.raises(KafkaError):
        await asyncio.wait_for(reader.getone(), 10)
    await reader.stop()


def test_options_for_both_libraries(tmp_path: Path) -> None:
    plain = KafkaAccess("a:1,b:2")
    assert plain.aiokafka() == {"bootstrap_servers": "a:1,b:2", "security_protocol": "PLAINTEXT"}
    assert plain.librdkafka() == {"bootstrap.servers": "a:1,b:2", "security.protocol": "PLAINTEXT"}
    login = KafkaAccess("a:1", "SASL_SSL", "SCRAM-SHA-512", "cam", "geheim")
    assert "geheim" not in repr(login)
    options = login.aiokafka()
    assert options.pop("ssl_context").check_hostname
    assert options == {
        "bootstrap_servers": "a:1",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "cam",
        "sasl_plain_password": "geheim",
    }
    assert login.librdkafka() == {
        "bootstrap.servers": "a:1",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "cam",
        "sasl.password": "geheim",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"security_protocol": "SASL_SSL"}, "needs sasl_mechanism, username and password"),
        ({"security_protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "username": "cam"}, "needs sasl_mechanism"),
        ({"username": "cam", "password": "geheim"}, "takes no username"),
        ({"ca_file": Path("ca.pem")}, "uses no certificates"),
        ({"security_protocol": "SSL", "key_file": Path("key.pem")}, "has no certificate_file"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ServiceRefused, match=message) as refusal:
        KafkaAccess("a:1", **options)
    assert "geheim" not in str(refusal.value)


def test_certificate_files_that_are_missing_or_bad_are_named(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    with pytest.raises(ServiceRefused, match=r"bad\.pem does not exist"):
        KafkaAccess("a:1", "SSL", ca_file=bad).aiokafka()
    bad.write_text("no PEM")
    with pytest.raises(ServiceRefused, match=r"ca_file .*bad\.pem is not a readable PEM"):
        KafkaAccess("a:1", "SSL", ca_file=bad).librdkafka()
    with pytest.raises(ServiceRefused, match=r"certificate_file .*bad\.pem and its key do not load"):
        KafkaAccess("a:1", "SSL", certificate_file=bad).aiokafka()


def test_one_message_of_a_kind_per_five_seconds() -> None:
    now = 0.0
    sparing = Sparing(5.0, clock=lambda: now)

    def passes(text: str, *args: object) -> str | None:
        record = logging.LogRecord("aiokafka", logging.ERROR, "f", 1, text, args, None)
        return record.getMessage() if sparing.filter(record) else None

    assert passes("Unable connect to %s", "a") == "Unable connect to a"
    assert passes("Unable connect to %s", "b") is None
    assert passes("another") == "another"
    now = 4.9
    assert passes("Unable connect to %s", "c") is None
    now = 5.0
    assert passes("Unable connect to %s", "100%") == "Unable connect to 100% [and 2 more like it]"
    now = 10.0
    assert passes("Unable connect to %s", "e") == "Unable connect to e"


def test_every_logger_of_aiokafka_is_quieted_once() -> None:
    names = ("aiokafka", "aiokafka.conn", "aiokafka.consumer.group_coordinator", "aiokafka.producer.sender")
    try:
        quiet_logs()
        quiet_logs()
        for name in names:
            assert sum(isinstance(f, Sparing) for f in logging.getLogger(name).filters) == 1
    finally:
        for logger in map(logging.getLogger, list(logging.root.manager.loggerDict)):
            logger.filters[:] = [f for f in logger.filters if not isinstance(f, Sparing)]


@pytest.mark.broker
async def test_a_static_member_that_leaves_hands_its_partitions_over_at_once(access: KafkaAccess) -> None:
    topic = f"leaving-{secrets.token_hex(4)}"
    KafkaAdmin(access).create_topics([TopicPlan(topic, 2, 1, {})])
    members = [consumer(access, group=topic, instance=f"w{number}") for number in range(2)]
    for member in members:
        member.subscribe([topic])
        await member.start()
    stays, leaves = members
    try:
        await _assigned(1, stays, leaves)
        leaves_at_stop(leaves)
        await leaves.stop()
        await _assigned(2, stays)
    finally:
        await stays.stop()


async def _assigned(count: int, *members: Any) -> None:
    # Less than a session's time, after which the broker would do it anyway.
    async with asyncio.timeout(SESSION_MS / 2000):
        while any(len(member.assignment()) != count for member in members):  # noqa: ASYNC110 - no event is set
            await asyncio.sleep(0.05)


async def test_there_may_be_no_member_yet_that_could_leave(access: KafkaAccess) -> None:
    leaves_at_stop(None)
    never_started = consumer(access, group="g", instance="w0")
    before = dict(vars(never_started))
    leaves_at_stop(never_started)
    assert vars(never_started) == before
    await never_started.stop()
