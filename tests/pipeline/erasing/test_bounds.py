"""Bounds follow from the settings in force, grow with each of them, and where one is void the reason is said."""

from collections.abc import Mapping
from dataclasses import replace
from math import inf

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.erasing.bounds import NUDGED, PERSONAL, Bound, InForce, of_keys, of_milvus, of_topics
from pipeline.erasing.times import told
from pipeline.records import Sealed
from pipeline.topology import COMMANDS, DAY, FACES, FRAMES, IDENTIFICATIONS, PERSONS, TEMPLATES, TOPICS, Topic

from .settings_in_force import PLAIN, in_force


def bound(topic: Topic, given: InForce) -> Bound:
    (found,) = of_topics(PLAIN, given, [topic])
    return found


def seconds(topic: Topic, given: InForce) -> float:
    found = bound(topic, given)
    assert found.seconds is not None, found.why
    return found.seconds


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        # segment + nudge + backoff + pass + unlink, with nothing to clean
        (PERSONS, 300 + 30 + 0.5 + 1 + 1),
        (TEMPLATES, 600 + 30 + 0.5 + 1 + 1),
        (IDENTIFICATIONS, 600 + 30 + 0.5 + 1 + 1),
        # segment + retention + check + unlink
        (FRAMES, 60 + 60 + 5 + 1),
        # segment + nudge + DeleteRecords + check + unlink
        (COMMANDS, 300 + 30 + 2 + 5 + 1),
        # retention + segment + backoff + pass + unlink: nobody nudges, so the partition may fall silent
        (FACES, 25 * 3600 + 600 + 0.5 + 1 + 1),
    ],
    ids=lambda value: value.name if isinstance(value, Topic) else "",
)
def test_the_settings_of_the_map_and_of_our_broker_promise_what_the_sum_says(topic: Topic, expected: float) -> None:
    assert seconds(topic, in_force()) == pytest.approx(expected)


def test_a_pass_of_the_cleaner_takes_as_long_as_all_compacted_bytes() -> None:
    assert seconds(PERSONS, in_force(compacted_bytes=500_000_000)) == pytest.approx(332.5 + 10)
    throttled = in_force(broker={"log.cleaner.io.max.bytes.per.second": "1000000"}, compacted_bytes=500_000_000)
    assert seconds(PERSONS, throttled) == pytest.approx(332.5 + 500)


def test_a_lag_longer_than_a_segment_is_what_is_waited_for() -> None:
    assert seconds(PERSONS, in_force({"persons": {"max.compaction.lag.ms": "3600000"}})) == pytest.approx(3602.5)
    young = in_force({"persons": {"min.compaction.lag.ms": "200000"}})
    assert seconds(PERSONS, young) == pytest.approx(300 + 200 + 2.5)


def test_a_transaction_left_open_may_hold_the_cleaner_up_longest() -> None:
    kept = in_force(broker={"transaction.max.timeout.ms": "900000"})
    found = bound(PERSONS, kept)
    assert found.seconds == pytest.approx(900 + 2 + 2.5)
    assert found.why.startswith("open transaction 15 min 2 s + ")


def test_the_slowest_broker_counts() -> None:
    one = in_force()
    two = replace(one, brokers={**one.brokers, 2: {**one.brokers[1], "log.cleaner.backoff.ms": "15000"}})
    assert seconds(PERSONS, two) == pytest.approx(332.5 + 14.5)


@pytest.mark.parametrize(
    ("topic", "setting", "value"),
    [
        (FRAMES, "retention.ms", "-1"),
        (FRAMES, "cleanup.policy", "compact"),
        (FRAMES, "message.timestamp.type", "CreateTime"),
        (FRAMES, "remote.storage.enable", "true"),
        (FACES, "retention.ms", "-1"),
        (FACES, "cleanup.policy", "delete"),
        (PERSONS, "cleanup.policy", "delete"),
        (PERSONS, "cleanup.policy", "compact,delete"),
        (PERSONS, "message.timestamp.type", "CreateTime"),
        (PERSONS, "max.compaction.lag.ms", str((1 << 63) - 1)),
        (PERSONS, "segment.ms", "soon"),
        (COMMANDS, "segment.ms", "600000"),
        (COMMANDS, "message.timestamp.type", "CreateTime"),
    ],
)
def test_a_setting_that_makes_it_impossible_is_named_with_its_value_and_the_cure(
    topic: Topic, setting: str, value: str
) -> None:
    found = bound(topic, in_force({topic.name: {setting: value}}))
    assert found.seconds is None
    assert f"{setting} is " in found.why
    assert value in found.why
    assert value == "soon" or "set it to" in found.why or "repair with faceline topics apply" in found.why


def test_a_cleaner_that_is_off_promises_nothing_to_what_is_compacted() -> None:
    off = in_force(broker={"log.cleaner.enable": "false"})
    void = {found.store: found.why for found in of_topics(PLAIN, off) if found.seconds is None}
    assert void.keys() == {topic.name for topic in PERSONAL if "compact" in topic.cleanup}
    assert "broker 1: log.cleaner.enable is false" in void["persons"]


def test_what_kafka_does_not_tell_is_not_guessed() -> None:
    assert bound(PERSONS, in_force(without="persons")).why.endswith("create it with faceline topics apply")
    silent = replace(in_force(), brokers={1: {}})
    assert all(found.seconds is None for found in of_topics(PLAIN, silent))
    assert "does not tell its brokers' log.retention.check.interval.ms" in bound(FRAMES, silent).why
    away = replace(in_force(), out_of_sync=frozenset({"persons"}))
    assert bound(PERSONS, away).seconds is None
    assert bound(TEMPLATES, away).seconds is not None


LAGS = ("segment.ms", "max.compaction.lag.ms", "min.compaction.lag.ms", "file.delete.delay.ms")
TIMES = st.fixed_dictionaries(dict.fromkeys(LAGS, st.integers(1, 10**9)))


@given(TIMES, st.sampled_from(LAGS))
def test_no_longer_setting_makes_a_shorter_bound(times: Mapping[str, int], longer: str) -> None:
    def of(values: Mapping[str, int]) -> float:
        found = bound(PERSONS, in_force({"persons": {name: str(value) for name, value in values.items()}})).seconds
        return inf if found is None else found

    assert of({**times, longer: 2 * times[longer]}) >= of(times)
    # Nothing can be gone before its lag is over, and the old segment has waited for its deletion.
    assert of(times) >= (times["max.compaction.lag.ms"] + times["file.delete.delay.ms"]) / 1000


def test_the_eraser_nudges_when_the_map_says_whatever_the_topic_does() -> None:
    assert seconds(PERSONS, in_force({"persons": {"segment.ms": "1000"}})) == seconds(PERSONS, in_force())
    longer = bound(PERSONS, in_force({"persons": {"segment.ms": "600000", "max.compaction.lag.ms": "600000"}}))
    assert longer.seconds is None
    assert "segment.ms is 600000" in longer.why


def test_the_random_id_of_who_was_deleted_leaves_a_day_later() -> None:
    found = bound(PERSONS, in_force())
    assert found.tombstone == pytest.approx(2 * 332.5 + DAY / 1000)
    assert bound(FRAMES, in_force()).tombstone is None


def test_keys_and_milvus() -> None:
    assert of_keys(5.0).seconds == 5.0
    assert of_milvus(3600).seconds == 3600
    never = of_milvus(None)
    assert never.seconds is None
    assert "faceline gallery rebuild" in never.why


def test_every_topic_that_holds_something_sealed_has_a_bound() -> None:
    def holds_sealed(value: object) -> bool:
        return Sealed.__name__ in str(msgspec.json.schema(value))

    assert {topic for topic in TOPICS if holds_sealed(topic.value)} <= set(PERSONAL)
    assert {topic.name for topic in PERSONAL} >= NUDGED


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, "no bound"),
        (0.0, "0 s"),
        (0.2, "1 s"),
        (331.5, "5 min 32 s"),
        (3599.5, "1 h"),
        (605106, "7 d 6 min"),
        (86_400, "1 d"),
    ],
)
def test_times_as_people_say_them(given: float | None, expected: str) -> None:
    assert told(given) == expected
