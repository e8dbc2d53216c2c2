"""Whether the canary is seen, store by store, and whether its template stands anywhere in the clear."""

import base64
import errno
import os
from pathlib import Path

import msgspec
import numpy as np
import pytest

from pipeline.auditing import canary
from pipeline.auditing.canary import Canary, Folders, found, in_the_clear
from pipeline.auditing.kafka_files import KafkaFiles
from pipeline.auditing.report import Verdict
from pipeline.changes import Put
from pipeline.erasing.bounds import KEY_STORE, MILVUS
from pipeline.records import Operation, Sealed
from pipeline.topology import COLLECTIONS, OPERATIONS, PERSONS
from tests.pipeline.erasing.settings_in_force import PLAIN
from tests.pipeline.examples import NOON, collection, person

from .segment_files import batch, segment

KID, GALLERY, PERSON = "0123456789abcdef" * 2, "fedcba9876543210" * 2, "e2a4c7de-0a2c-4c3b-b0c1-5f2b8e6a9d10"
DRAWN = np.random.default_rng(1).standard_normal((2, 128)).astype(np.float32)
STORES = ("commands", "collections", "persons", "templates", "operations", MILVUS, KEY_STORE)
BIRD = Canary("persongroup/c", PERSON, "f", KID, GALLERY, np.random.default_rng(2).bytes(60), DRAWN[0], DRAWN[1])


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    for name in ("kafka", "milvus", "keys"):
        (tmp_path / name).mkdir()
    kafka = KafkaFiles((tmp_path / "kafka",), PLAIN, ())
    return Folders(tmp_path, kafka, tmp_path / "milvus", tmp_path / "keys")


def test_each_store_is_seen_by_what_it_holds(folders: Folders, tmp_path: Path) -> None:
    assert found(BIRD, folders, STORES) == set()
    segment(tmp_path / "kafka", "persons", batch(PERSONS, Put("p", person(kid=KID)), NOON))
    assert found(BIRD, folders, STORES) == {"persons"}
    made = msgspec.structs.replace(collection(), name=Sealed(GALLERY, b"nonce", b"ciphertext"))
    segment(tmp_path / "kafka", "collections", batch(COLLECTIONS, Put("u", made), NOON))
    enrolled = Operation(operation_id="o", outcome="succeeded", requested=NOON, finished=NOON, resource=PERSON)
    segment(tmp_path / "kafka", "operations", batch(OPERATIONS, Put("o", enrolled), NOON))
    assert found(BIRD, folders, STORES) == {"collections", "persons", "operations"}
    # The id of a key beside a vector that cannot be seen proves nothing.
    (tmp_path / "milvus" / "rows").write_bytes(KID.encode())
    assert found(BIRD, folders, [MILVUS]) == set()
    (tmp_path / "milvus" / "rows").write_bytes(DRAWN[1].tobytes())
    assert found(BIRD, folders, [MILVUS]) == {MILVUS}
    (tmp_path / "keys" / "keys.sqlite").write_bytes(b"x" * 7 + BIRD.wrapped)
    assert found(BIRD, folders, [KEY_STORE]) == {KEY_STORE}


def test_what_is_on_another_machine_is_not_claimed(tmp_path: Path) -> None:
    nowhere = Folders(tmp_path, None, None, None)
    assert found(BIRD, nowhere, STORES) == set()


def test_without_the_vector_of_milvus_the_audit_does_not_see_it(folders: Folders, tmp_path: Path) -> None:
    (tmp_path / "milvus" / "rows").write_bytes(DRAWN.tobytes())
    assert found(canary.as_stored(BIRD, None), folders, [MILVUS]) == set()


@pytest.mark.parametrize(
    "place", ["milvus/rows", "kafka/persons-0/00000000000000000000.log", "logs/x.log", "state/a/b"]
)
def test_a_template_in_the_clear_is_found_wherever_it_is(folders: Folders, tmp_path: Path, place: str) -> None:
    assert in_the_clear(BIRD, folders).verdict is Verdict.PASS
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(base64.b64encode(DRAWN[0].tobytes()))
    line = in_the_clear(BIRD, folders)
    assert line.verdict is Verdict.FAIL
    assert f"stands in 1 files in the clear, such as {path}, as base64 at 0" in line.text


def test_of_what_cannot_be_read_nothing_is_claimed(
    folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "logs").mkdir()
    listing = os.scandir

    def scandir(folder: str) -> object:
        if Path(folder) == tmp_path / "logs":
            raise PermissionError(errno.EACCES, "Permission denied", folder)
        return listing(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    line = in_the_clear(BIRD, folders)
    assert line.verdict is Verdict.CANNOT_TELL
    assert f"such as {tmp_path / 'logs' / '*'}: Permission denied" in line.text
