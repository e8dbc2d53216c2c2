"""Promises of `faceline receipt`: a proof that anybody can check anywhere, and one line where it does not hold."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pipeline import __main__ as faceline
from pipeline.home import Home
from pipeline.receipts import Head, written
from pipeline.records import AuditEntry
from tests.pipeline.conftest import Cluster
from tests.pipeline.examples import NOON, clean, receipt
from tests.pipeline.receipts.on_kafka import put
from tests.pipeline.receipts.signing import ANOTHER, PUBLIC, SIGNER, signed

ENTRIES = signed([receipt("e0"), receipt("e1", kind="face"), clean("e0")])
ABOUT = [ENTRIES[0], ENTRIES[2]]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """One command line of a home in `tmp_path`: its exit code, what it said, what it complained about."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = faceline.run(["--home", str(tmp_path / "home"), "receipt", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def pub(tmp_path: Path) -> Path:
    file = tmp_path / "receipts-public.pem"
    file.write_bytes(PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "receipt.json"
    file.write_bytes(written(ABOUT))
    return file


def test_verify_needs_nothing_but_the_two_files(tmp_path: Path, file: Path, pub: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "faceline.toml").write_text("this is no TOML")
    code = "from pipeline.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "receipt", "verify", file.name, "--key", pub.name],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "FACELINE_HOME": str(broken)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "erasure     e0"
    assert done.stdout.splitlines()[-1] == f"signature   valid: every byte is what key {SIGNER.fingerprint} signed"
    assert "kafka: clean after 6 min 20 s" in done.stdout
    assert {each.name for each in broken.iterdir()} == {"faceline.toml"}


def test_what_does_not_hold_is_one_line(run: Run, file: Path, pub: Path, tmp_path: Path) -> None:
    content = file.read_bytes()
    another = tmp_path / "another.pem"
    another.write_bytes(ANOTHER.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    for changed, key, told in (
        (content.replace(b"operator/jane", b"operator/jann"), pub, "entry 0 of chain 0 is not what was signed"),
        (content.replace(b'"clean":true', b'"clean":false'), pub, "entry 2 of chain 0 is not what was signed"),
        (content + b"\n", pub, "this is not byte for byte the file that was written"),
        (content, another, f"entry 0 of chain 0 says that key {SIGNER.fingerprint} signed it, and this is key"),
        (b"Dear auditor, all is well", pub, "this is no receipt, or no whole one"),
    ):
        file.write_bytes(changed)
        code, out, err = run("verify", file, "--key", key)
        assert (code, out, err.count("\n")) == (1, "", 1)
        assert err.startswith(f"{file}: {told}")


def test_mistakes_of_the_caller_are_told_from_false_receipts(run: Run, file: Path, pub: Path, tmp_path: Path) -> None:
    code, _, err = run("verify", file, "--key", file)
    assert (code, err) == (2, f"--key {file} is no public key in PEM; print it with: faceline receipt key\n")
    code, _, err = run("verify", tmp_path / "absent.json", "--key", pub)
    assert code == 2
    assert "absent.json" in err


def test_key_prints_what_receipts_are_checked_with(run: Run, tmp_path: Path) -> None:
    code, _, err = run("key")
    assert code == 2
    assert err.endswith("holds no deployment; begin with: faceline init\n")
    home = Home(tmp_path / "home")
    home.prepare()
    code, first, _ = run("key")
    assert code == 0
    assert first.startswith("-----BEGIN PUBLIC KEY-----\n")
    assert run("key")[1] == first
    (home.keys / "receipts.pem").chmod(0o644)
    code, out, err = run("key")
    assert (code, out) == (2, "")
    assert err == (
        f"the signing key {home.keys}/receipts.pem has mode 0644, wanted 0400: run chmod 400 {home.keys}/receipts.pem\n"
    )


@pytest.fixture
def stored(cluster: Cluster, tmp_path: Path) -> Callable[..., None]:
    """A home on the run's Kafka; call it with the entries that `audit` shall hold."""
    home = Home(tmp_path / "home")
    home.prepare()
    (home.path / "faceline.toml").write_text(
        f'[kafka]\nbootstrap = "{cluster.access.bootstrap}"\nprefix = "{cluster.deployment.prefix}"\n'
    )
    return lambda *entries: asyncio.run(put(cluster, *entries))


@pytest.mark.broker
def test_chain_checks_all_of_the_topic(run: Run, stored: Callable[..., None], file: Path, pub: Path) -> None:
    assert run("chain", "--key", pub) == (0, "chain 0: no entry\n", "")
    stored(*ENTRIES)
    sound = "chain 0: entries 0 to 2, each signed, each follows the last\n"
    assert run("chain", "--key", pub) == (0, sound, "")
    held = "entries that you hold and that are on it: 2\n"
    assert run("chain", "--key", pub, file) == (0, sound + held, "")


FAULTS: dict[str, tuple[list[AuditEntry], str]] = {
    "a gap": ([ENTRIES[0], ENTRIES[2]], "entry 2 of chain 0 stands where entry 1 belongs: entry 1 is missing\n"),
    "a change": (
        [ENTRIES[0], msgspec.structs.replace(ENTRIES[1], at=NOON + timedelta(seconds=1))],
        "entry 1 of chain 0 is not what was signed: its signature does not fit\n",
    ),
    "another chain's": (signed([receipt("e0")], Head(1)), "entry 0 of chain 1 stands in chain 0\n"),
}


@pytest.mark.broker
@pytest.mark.parametrize(("entries", "told"), FAULTS.values(), ids=FAULTS)
def test_chain_names_the_first_bad_link(
    run: Run, cluster: Cluster, stored: Callable[..., None], pub: Path, entries: list[AuditEntry], told: str
) -> None:
    asyncio.run(put(cluster, *entries, partition=0))
    assert run("chain", "--key", pub) == (1, "", told)


@pytest.mark.broker
def test_a_chain_that_was_cut_is_noticed_by_who_holds_a_receipt(
    run: Run, stored: Callable[..., None], tmp_path: Path, pub: Path
) -> None:
    """Retention takes the oldest away, which is well; the newest, and the younger ones, nobody may take away."""
    now = datetime.now(UTC)
    chain = signed([receipt("e0")], at=now - timedelta(days=401))
    chain += signed([receipt("e1"), receipt("e2"), receipt("e3")], Head.after(chain[0]), at=now)
    stored(*chain[1:3])
    files = []
    for number, entry in enumerate(chain):
        files.append(tmp_path / f"held-{number}.json")
        files[-1].write_bytes(written([entry]))
    sound = "chain 0: entries 1 to 2, each signed, each follows the last; older ones, no longer kept: 1\n"
    code, out, _ = run("chain", "--key", pub, files[0], files[2])
    assert (code, out) == (
        0, sound + "entries that you hold and that are on it: 1; older than the topic keeps: 1\n"
    )  # fmt: skip
    code, _, err = run("chain", "--key", pub, files[3])
    assert (code, err) == (1, "entry 3 of chain 0, which you hold, is not on the topic: the chain was cut\n")
