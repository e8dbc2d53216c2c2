"""All that is kept, over real files: what the receipts know of keys is looked for where the store has forgotten it."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from connectors.kafka_cluster import ClusterState
from connectors.keystore import KeyStore
from pipeline.auditing.canary import Canary, Folders
from pipeline.auditing.evidence import Evidence
from pipeline.auditing.kafka_files import KafkaFiles
from pipeline.auditing.kept import Kept
from pipeline.auditing.report import Line, Verdict
from pipeline.changes import Put
from pipeline.erasing.bounds import MILVUS, of_keys, of_milvus, of_topics
from pipeline.home import Home
from pipeline.operations.erasures import Erased
from pipeline.receipts import destroyed_keys
from pipeline.settings import parse
from pipeline.topology import PERSONS
from pipeline.wiring.keys import key_rows
from tests.pipeline.erasing.settings_in_force import PLAIN, in_force
from tests.pipeline.examples import NOON, person

from .segment_files import batch, segment

PERSON, CANARY = "e2a4c7de-0a2c-4c3b-b0c1-5f2b8e6a9d10", "c" * 32
BIRD = Canary("persongroup/c", "p", "f", CANARY, "e" * 32, bytes(60), np.ones(128, np.float32))
CLUSTER = ClusterState(
    {},
    frozenset(),
    frozenset(),
    {1: {}},
    {1: {}},
    replicas={"persons": {0: frozenset({1})}},
    folders={1: ("/data",)},
)
BOUNDS = (*of_topics(PLAIN, in_force()), of_keys(5.0), of_milvus(3600.0))


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home with a key store, and a broker's folder, its own."""
    home = Home(tmp_path)
    home.prepare()
    with closing(KeyStore.create(home.keys)):
        data = home.kafka / "data"
        data.mkdir(parents=True)
        (data / "meta.properties").write_text("node.id=1\ndirectory.id=a\n")
        yield home


def audited(home: Home, *erased: Erased) -> tuple[dict[tuple[str, str], Line], Evidence]:
    evidence, settings = Evidence(), parse({}, home.path)
    kafka = KafkaFiles((home.kafka / "data",), PLAIN, BOUNDS)
    folders = Folders(home.path, kafka, home.milvus, home.keys)
    with closing(key_rows(settings, home)) as rows:
        kept = Kept(settings, home, folders, BOUNDS, rows, {}, evidence)
        return {(line.check, line.subject): line for line in kept.lines(erased, frozenset(), CLUSTER, BIRD)}, evidence


def destroyed(home: Home) -> tuple[str, Erased]:
    """The key of somebody whose record still stands, and her erasure; the store as it was before is put back."""
    with closing(KeyStore.create(home.keys)) as store:
        kid = store.new("person")
        before = (home.keys / "keys.sqlite").read_bytes()
        store.destroy([kid])
    (home.keys / "keys.sqlite").write_bytes(before)
    segment(home.kafka / "data", "persons", batch(PERSONS, Put(PERSON, person(PERSON, kid=kid)), NOON))
    return kid, Erased("e0", "person", PERSON, NOON, NOON, destroyed_keys([kid]), signed=True)


def test_the_keys_of_a_restored_store_are_looked_for_as_the_receipts_say(home: Home) -> None:
    kid, erasure = destroyed(home)
    with closing(key_rows(parse({}, home.path), home)) as rows:
        assert rows.destroyed() == []
    lines, evidence = audited(home, erasure)
    assert lines["keys", "receipts"].verdict is Verdict.FAIL
    assert lines["kafka", "persons"].verdict is Verdict.FAIL
    assert f"key {kid}" in lines["kafka", "persons"].text
    assert evidence.told.revived == {kid: erasure}
    # Nobody who has no receipts could know.
    lines, _ = audited(home)
    assert lines["kafka", "persons"].verdict is Verdict.PASS


def test_what_was_seen_is_put_down(home: Home) -> None:
    _, evidence = audited(home)
    assert evidence.whole == {"persons"}
    assert evidence.waiting[MILVUS] == {CANARY}, "which was not looked for"
    assert evidence.bounds == BOUNDS
    assert evidence.key_store.endswith("keys.sqlite")
