"""The map holds together: every topic has a writer and settings that let it forget, every stage can be run from it."""

import pytest

from pipeline.topology import (
    CAPTURE,
    COMMANDS,
    DAY,
    DEAD_LETTERS,
    DETECT,
    FRAMES,
    IDENTIFICATIONS,
    MINUTE,
    NODES,
    STAGES,
    TOPICS,
    Deployment,
    Node,
    Scale,
    Topic,
)

COMPACTED = [topic for topic in TOPICS if "compact" in topic.cleanup]
AGEING = [topic for topic in TOPICS if "delete" in topic.cleanup]


def named(each: Topic | Node) -> str:
    return each.name


def test_names_are_said_once() -> None:
    assert len({topic.name for topic in TOPICS}) == len(TOPICS)
    assert len({node.name for node in NODES}) == len(NODES)


@pytest.mark.parametrize("topic", TOPICS, ids=named)
def test_every_topic_has_a_writer(topic: Topic) -> None:
    assert any(topic in node.writes for node in NODES)


@pytest.mark.parametrize("node", STAGES.values(), ids=named)
def test_every_stage_has_partitioned_work_and_a_place_for_what_can_never_work(node: Node) -> None:
    assert node.input is node.reads
    assert DEAD_LETTERS in node.writes
    assert node.shell in ("worker", "keeper")


def test_a_node_that_reads_nothing_has_no_input() -> None:
    assert DETECT.input is FRAMES
    with pytest.raises(ValueError, match="capture reads no topic"):
        _ = CAPTURE.input


@pytest.mark.parametrize("node", NODES, ids=named)
def test_a_stage_replays_only_what_it_wrote_itself_into_the_partition_it_reads(node: Node) -> None:
    assert set(node.replays) <= set(node.writes)
    assert all(node.reads is not None and topic.family == node.reads.family for topic in node.replays)


@pytest.mark.parametrize("node", NODES, ids=named)
def test_what_is_followed_as_a_whole_has_a_last_word_per_key(node: Node) -> None:
    assert all("compact" in topic.cleanup for topic in node.follows)


@pytest.mark.parametrize("topic", TOPICS, ids=named)
def test_the_time_of_a_record_is_the_brokers_and_its_bytes_stand_as_they_are(topic: Topic) -> None:
    settings = topic.settings()
    assert settings["message.timestamp.type"] == "LogAppendTime"
    assert settings["compression.type"] == "uncompressed"
    assert all(isinstance(value, str) for value in settings.values())


@pytest.mark.parametrize("topic", COMPACTED, ids=named)
def test_a_deletion_is_compacted_in_time_and_kept_for_a_day_for_those_who_were_away(topic: Topic) -> None:
    settings = topic.settings()
    assert int(settings["max.compaction.lag.ms"]) <= 10 * MINUTE
    assert int(settings["delete.retention.ms"]) == DAY


@pytest.mark.parametrize("topic", AGEING, ids=named)
def test_what_grows_old_does_so_in_segments_that_roll_before_it_must_leave(topic: Topic) -> None:
    assert 0 < topic.segment_ms <= topic.retention_ms


@pytest.mark.parametrize("topic", TOPICS, ids=named)
def test_a_topic_that_is_not_compacted_says_nothing_of_compaction(topic: Topic) -> None:
    has = {"max.compaction.lag.ms", "min.cleanable.dirty.ratio", "delete.retention.ms"} & topic.settings().keys()
    assert bool(has) == ("compact" in topic.cleanup)
    assert (topic.retention_ms == -1) == (topic.cleanup == "compact")


def test_frames_leave_within_a_minute_and_one_topic_alone_faces_outward() -> None:
    assert FRAMES.retention_ms == MINUTE
    assert [topic for topic in TOPICS if topic.outward] == [IDENTIFICATIONS]


def test_places_never_move() -> None:
    """Pinned: a release that hashed otherwise would part cameras and galleries from their own records."""
    scale = Scale(streams=32, tables=8)
    assert [scale.of_camera(camera) for camera in ("door", "gate", "Straße 7")] == [13, 20, 21]
    assert [scale.of_scope(scope) for scope in ("largepersongroup/people", "persongroup/staff")] == [3, 1]


def test_what_is_counted_or_checked_together_has_one_owner() -> None:
    scale = Scale(tables=8)
    assert len({scale.of_scope(f"facelist/{number}") for number in range(64)}) == 1
    assert {scale.of_scope(f"dynamicpersongroup/{number}") for number in range(64)} == {scale.of_scope("directory")}


def test_streams_and_tables_have_counts_of_their_own() -> None:
    scale = Scale(streams=5, tables=3)
    assert (scale.partitions(FRAMES), scale.partitions(COMMANDS)) == (5, 3)
    assert {scale.of_camera(f"camera-{number}") for number in range(200)} == set(range(5))
    assert {scale.of_scope(f"persongroup/{number}") for number in range(200)} == set(range(3))


def test_a_shared_cluster_gets_a_prefix_on_topics_and_groups() -> None:
    deployment = Deployment(prefix="north-")
    assert deployment.name(FRAMES) == "north-frames"
    assert deployment.group(STAGES["detect"]) == "north-detect"
