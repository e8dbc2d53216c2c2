"""In which places the canary has to be, and that an audit which sees none of them is blind."""

from pathlib import Path

import numpy as np
import pytest

from connectors.kafka_cluster import ClusterState
from pipeline.auditing import canary, control
from pipeline.auditing.canary import Canary, Folders
from pipeline.auditing.kafka_files import KafkaFiles
from pipeline.auditing.report import Line, Verdict
from pipeline.changes import Put
from pipeline.erasing.bounds import KEY_STORE, MILVUS
from pipeline.topology import PERSONS
from tests.pipeline.erasing.settings_in_force import PLAIN
from tests.pipeline.examples import NOON, person

from .segment_files import batch, segment

KID, PERSON = "0123456789abcdef" * 2, "e2a4c7de-0a2c-4c3b-b0c1-5f2b8e6a9d10"
WRAPPED = np.random.default_rng(2).bytes(60)
BIRD = Canary("persongroup/c", PERSON, "f", KID, "e" * 32, WRAPPED, np.ones(128, np.float32))
IN_KAFKA = frozenset(topic.name for topic in canary.IN_KAFKA)


def cluster(*holders: int) -> ClusterState:
    """A cluster on whose brokers the canary's partition is, of three that there are."""
    brokers: dict[int, dict[str, str]] = {1: {}, 2: {}, 3: {}}
    replicas = {name: {0: frozenset(holders)} for name in IN_KAFKA}
    folders = dict.fromkeys(brokers, ("/data",))
    return ClusterState({}, frozenset(), frozenset(), brokers, {}, replicas=replicas, folders=folders)


def broker(path: Path, number: int) -> Path:
    path.mkdir()
    (path / "meta.properties").write_text(f"node.id={number}\ndirectory.id={path.name}\n")
    return path


def folders(home: Path, *data: Path, keys: bool = False) -> Folders:
    kafka = KafkaFiles(data, PLAIN, ()) if data else None
    return Folders(home, kafka, None, home / "keys" if keys else None)


def told(state: ClusterState, given: Folders) -> dict[str, Line]:
    where = control.places(BIRD, state, PLAIN, given)
    found = control.seen(BIRD, where, control.visible(where))
    every = [*control.lines(BIRD, where, found, given), *control.out_of_sight(state, given, where)]
    return {line.subject: line for line in every}


def test_where_no_store_lies_here_the_audit_is_blind(tmp_path: Path) -> None:
    line = told(cluster(1), folders(tmp_path))
    assert {subject for subject, each in line.items() if each.verdict is Verdict.BLIND} == {"every store"}
    assert "--kafka-data" in line["every store"].text
    assert {subject for subject, each in line.items() if each.verdict is Verdict.CANNOT_TELL} == {
        "Kafka",
        MILVUS,
        KEY_STORE,
    }


def test_one_store_that_lies_here_is_enough_to_see(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    assert told(cluster(1), folders(tmp_path, keys=True))[KEY_STORE].verdict is Verdict.BLIND
    (tmp_path / "keys" / "keys.sqlite").write_bytes(WRAPPED)
    line = told(cluster(1), folders(tmp_path, keys=True))
    assert line[KEY_STORE].verdict is Verdict.PASS
    assert "every store" not in line


def test_the_canary_has_to_be_on_every_broker_that_holds_its_partition(tmp_path: Path) -> None:
    one, two = broker(tmp_path / "a", 1), broker(tmp_path / "b", 2)
    segment(one, "persons", batch(PERSONS, Put("p", person(kid=KID)), NOON))
    both = folders(tmp_path, one, two)
    assert told(cluster(1, 2), both)["persons"].verdict is Verdict.BLIND
    segment(two, "persons", batch(PERSONS, Put("p", person(kid=KID)), NOON))
    assert told(cluster(1, 2), both)["persons"].verdict is Verdict.PASS
    assert told(cluster(1), both)["persons"].verdict is Verdict.PASS


@pytest.mark.parametrize(("holders", "stores"), [((1,), IN_KAFKA), ((2, 3), frozenset())])
def test_what_lies_on_other_brokers_need_not_be_here(
    tmp_path: Path, holders: tuple[int, ...], stores: frozenset[str]
) -> None:
    given = folders(tmp_path, broker(tmp_path / "a", 1))
    assert control.visible(control.places(BIRD, cluster(*holders), PLAIN, given)) == stores
    line = told(cluster(*holders), given)
    assert line["replicas"].verdict is Verdict.CANNOT_TELL
    assert "not all folders of broker 2, 3 were given" in line["replicas"].text
    assert ("Kafka" in line) == (not stores)


def test_a_folder_that_does_not_say_whose_it_is_has_to_have_everything(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    given = folders(tmp_path, tmp_path / "a")
    assert control.visible(control.places(BIRD, cluster(2), PLAIN, given)) == IN_KAFKA
