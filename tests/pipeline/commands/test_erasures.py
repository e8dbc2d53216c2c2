"""Promises of `faceline erase`: every deletion is shown, how far it is, and its receipt."""

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pipeline import __main__ as faceline
from pipeline.changes import Put, Tombstone
from pipeline.home import Home
from pipeline.receipts import written
from pipeline.records import Erasure, Operation, Watermark
from pipeline.topology import GATE, OPERATIONS, PERSONS, Topic
from tests.pipeline.conftest import Cluster
from tests.pipeline.examples import NOON, clean, receipt, seconds
from tests.pipeline.receipts.on_kafka import put, put_changes
from tests.pipeline.receipts.signing import PUBLIC, SIGNER, signed

pytestmark = pytest.mark.broker

ENTRIES = signed([receipt("e0"), receipt("e1", kind="face"), clean("e0")])
ABOUT = [ENTRIES[0], ENTRIES[2]]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """One command line about a deployment on the run's Kafka: its exit code, what it said, what it complained about."""
    home = Home(tmp_path / "home")
    home.prepare()
    (home.path / "faceline.toml").write_text(
        f'[kafka]\nbootstrap = "{cluster.access.bootstrap}"\nprefix = "{cluster.deployment.prefix}"\n'
    )

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = faceline.run(["--home", str(home.path), *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


def rows(out: str) -> list[list[str]]:
    """The cells of every line but the heading."""
    return [re.split(r"  +", line) for line in out.splitlines()[1:]]


def test_what_has_a_receipt_is_shown_and_fetched(run: Run, cluster: Cluster, tmp_path: Path) -> None:
    assert run("erase", "status") == (0, "nothing was deleted yet\n", "")
    asyncio.run(put(cluster, *ENTRIES))
    code, out, _ = run("erase", "status")
    assert code == 0
    assert [(row[0], row[2], row[3]) for row in rows(out)] == [
        ("e0", "person p0", "done 0.250 s later, with receipt; searched since: kafka clean"),
        ("e1", "face p0", "done 0.250 s later, with receipt; searched since: nothing yet"),
    ]
    assert [row[0] for row in rows(run("erase", "status", "e1")[1])] == ["e1"]
    code, out, _ = run("erase", "receipt", "e0")
    assert code == 0
    assert out.startswith("erasure     e0\n")
    assert f"signature   not checked here; by key {SIGNER.fingerprint}" in out
    file, pub = tmp_path / "fetched.json", tmp_path / "receipts-public.pem"
    pub.write_bytes(PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert run("erase", "receipt", "e0", "--json", file)[0] == 0
    assert file.read_bytes() == written(ABOUT)
    assert json.loads(file.read_bytes())["format"] == "faceline receipt 1"
    assert run("receipt", "verify", file, "--key", pub)[0] == 0


def test_what_is_not_known_is_one_line(run: Run) -> None:
    told = "nothing is known of an erasure e7; see: faceline erase status\n"
    assert run("erase", "status", "e7") == (2, "", told)
    told = "no erasure e7 has a receipt; see: faceline erase status\n"
    assert run("erase", "receipt", "e7") == (2, "", told)


def test_a_deletion_that_is_not_done_says_whom_it_waits_for(run: Run, cluster: Cluster) -> None:
    erasure = Erasure(kind="person", subject="p9", principal="ann", counts={"persons": 1})
    asked = Operation(operation_id="e9", outcome="erasing", requested=NOON, finished=NOON, forgotten=1, erasure=erasure)

    def mark(positions: dict[str, int]) -> Put[Watermark]:
        return Put("identify", Watermark(positions=positions, by="identify", at=NOON))

    changes: list[tuple[Topic, int, Put[object] | Tombstone]] = [
        (PERSONS, 0, Tombstone("p9", "e9")),
        (OPERATIONS, 0, Put("e9", asked)),
        (GATE, 0, mark({"persons/0": 1})),
        (GATE, 1, mark({"persons/0": 0})),
        (GATE, 2, mark({"persons/0": 7})),
    ]
    asyncio.run(put_changes(cluster, changes))
    ((_, _, what, state),) = rows(run("erase", "status")[1])
    assert (what, state) == ("person p9", "erasing: partitions of identify that may still name it: 1, 3")
    done = Operation(
        operation_id="e9",
        outcome="succeeded",
        requested=NOON,
        finished=NOON + seconds(0.2),
        forgotten=1,
        erasure=erasure,
    )
    asyncio.run(put_changes(cluster, [(OPERATIONS, 0, Put("e9", done))]))
    ((_, _, _, state),) = rows(run("erase", "status", "e9")[1])
    assert state == "done 0.200 s later, the receipt is being signed; searched since: nothing yet"
