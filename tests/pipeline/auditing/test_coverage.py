"""Of a topic the audit may speak once every replica of it was read, in whichever folder of whichever broker."""

from dataclasses import replace
from pathlib import Path

import pytest

from connectors.kafka_cluster import ClusterState
from pipeline.auditing.coverage import by_broker, unread, whole
from pipeline.topology import Deployment

DEPLOYMENT = Deployment(prefix="north-")
# `persons` is on brokers 1 and 2, of which 2 has two directories; `gaps` is on broker 1 alone.
CLUSTER = ClusterState(
    {},
    frozenset(),
    frozenset(),
    {1: {}, 2: {}},
    {1: {}, 2: {}},
    replicas={
        "north-persons": {0: frozenset({1}), 1: frozenset({1, 2})},
        "north-gaps": {0: frozenset({1})},
        "south-faces": {0: frozenset({1})},
    },
    folders={1: ("/data",), 2: ("/disk1", "/disk2")},
)


def folder(path: Path, broker: int, directory: str) -> Path:
    path.mkdir(parents=True)
    (path / "meta.properties").write_text(f"#\nnode.id={broker}\ndirectory.id={directory}\nversion=1\n")
    return path


@pytest.fixture
def one(tmp_path: Path) -> Path:
    return folder(tmp_path / "one", 1, "a")


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    return [folder(tmp_path / "two" / each, 2, each) for each in ("b", "c")]


def test_every_broker_with_every_directory_is_the_whole(one: Path, two: list[Path]) -> None:
    assert whole(CLUSTER, DEPLOYMENT, [one, *two]) == {"persons", "gaps"}
    assert unread(CLUSTER, [one, *two]) == set()


def test_one_broker_attests_what_lies_on_it_alone(one: Path, two: list[Path]) -> None:
    assert whole(CLUSTER, DEPLOYMENT, [one]) == {"gaps"}
    assert unread(CLUSTER, [one]) == {2}
    assert whole(CLUSTER, DEPLOYMENT, two) == set()


def test_a_second_disk_that_was_not_given_counts(one: Path, two: list[Path]) -> None:
    assert whole(CLUSTER, DEPLOYMENT, [one, two[0]]) == {"gaps"}


def test_one_directory_given_twice_is_one(one: Path, two: list[Path], tmp_path: Path) -> None:
    again = folder(tmp_path / "mounted again", 2, "b")
    assert whole(CLUSTER, DEPLOYMENT, [one, two[0], again]) == {"gaps"}


def test_a_replica_on_a_broker_that_is_down_was_not_read(one: Path, two: list[Path]) -> None:
    down = replace(CLUSTER, brokers={1: {}}, folders={1: ("/data",)})
    assert whole(down, DEPLOYMENT, [one, *two]) == {"gaps"}
    assert unread(down, [one, *two]) == {2}


def test_a_folder_that_does_not_say_whose_it_is_attests_nothing(tmp_path: Path) -> None:
    assert by_broker([tmp_path]) == {None: [tmp_path]}
    assert whole(CLUSTER, DEPLOYMENT, [tmp_path]) == set()
    assert whole(CLUSTER, DEPLOYMENT, []) == set()
