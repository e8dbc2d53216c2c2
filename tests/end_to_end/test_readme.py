"""What the README tells a person to type is typed here, in a home of its own, and has to work."""

import asyncio
import base64
import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from connectors.broker import EmbeddedBroker
from connectors.footage import make_clip, portraits, story
from connectors.kafka import KafkaAccess
from pipeline.home import Home
from pipeline.settings import Settings
from pipeline.wiring.receipts import signer
from tests.pipeline.conftest import fresh_cluster
from tests.pipeline.examples import clean, receipt
from tests.pipeline.receipts.on_kafka import put
from tests.pipeline.receipts.signing import signed

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", README, re.M | re.S)
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", README, re.M | re.S)
FOR_AUDITORS = next(block for block in BLOCKS if "faceline receipt" in block)
FOR_REAL = next(block for block in BLOCKS if "faceline init" in block)
CAMERA = '\n[[camera]]\nname = "door"\nfile = "clip.mp4"\nloop = true\n'
PATIENCE = 120.0


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A working folder with the photo that the README speaks of, and a home whose camera plays a clip."""
    faces = portraits()
    home = tmp_path / "home"
    home.mkdir()
    cv2.imwrite(str(tmp_path / "grace.jpg"), faces["Grace Hopper"])
    make_clip(home / "clip.mp4", story(faces))
    yield tmp_path
    run(tmp_path, "faceline purge --yes")


def environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "FACELINE_HOME": str(folder / "home"),
    }


def run(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        shlex.split(line, comments=True),
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def first_line(folder: Path, line: str) -> str:
    """What a command that never ends by itself says first; then Ctrl-C ends it."""
    with subprocess.Popen(
        shlex.split(line, comments=True), cwd=folder, env=environment(folder), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
    return said


def test_the_two_commands_are_files_of_the_project() -> None:
    named = re.findall(r"^sh (deploy/\S+)$", "\n".join(BLOCKS), re.M)
    assert named == ["deploy/demo.sh", "deploy/test.sh"]
    assert all((ROOT / name).is_file() for name in named)


@pytest.mark.timeout(300)
def test_every_line_of_a_session_works(folder: Path) -> None:
    for line in FOR_REAL.splitlines():
        if "watch" in line:
            assert "decision" in first_line(folder, line)
            continue
        done = run(folder, line)
        assert done.returncode == 0, (line, done.stdout, done.stderr)
        if "init" in line:
            settings = folder / "home" / "faceline.toml"
            # Another deployment on this machine may have the plain port.
            settings.write_text(settings.read_text().replace("#port = 8420", "port = 0") + CAMERA)
        if "key show" in line:
            use_the_api(folder, key=done.stdout.split()[2])
    assert not any((folder / "home").glob("keys/*"))


def use_the_api(folder: Path, key: str) -> None:
    """Run what the README shows to applications, as it stands there."""
    assert len(EXAMPLES) == 2
    access = {"FACE_ENDPOINT": endpoint(folder), "FACE_KEY": key}
    for example in EXAMPLES:
        done = subprocess.run(
            [sys.executable, "-c", example],
            cwd=folder,
            env={**environment(folder), **access},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, (example, done.stderr)
        assert "1.0" in done.stdout or "confidence" in done.stdout


def endpoint(folder: Path) -> str:
    """Where the API is, once its process says so."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        processes = json.loads(run(folder, "faceline status --json").stdout)["processes"]
        address = next(each["address"] for each in processes if each["name"] == "api")
        if address:
            return str(address)
    raise TimeoutError("the API did not say where it is")


@pytest.mark.broker
def test_every_line_for_auditors_works(broker: EmbeddedBroker, tmp_path: Path) -> None:
    cluster = fresh_cluster(KafkaAccess(broker.bootstrap))
    (erasure,) = re.findall(r"^faceline erase receipt (\S+)", FOR_AUDITORS, re.M)
    home = Home(tmp_path / "home")
    home.prepare()
    at = f'[kafka]\nbootstrap = "{cluster.access.bootstrap}"\nprefix = "{cluster.deployment.prefix}"\n'
    (home.path / "faceline.toml").write_text(at)
    entries = signed([receipt("earlier"), receipt(erasure), clean(erasure)], signer=signer(Settings(), home))
    asyncio.run(put(cluster, *entries))
    for line in FOR_AUDITORS.splitlines():
        done = run(tmp_path, f"sh -c {shlex.quote(line)}")
        assert (done.returncode, done.stderr) == (0, ""), line
        if " status" in line or " verify" in line:
            assert erasure in done.stdout
    changed = tmp_path / "receipt.json"
    changed.write_bytes(changed.read_bytes().replace(b"operator", b"0perator", 1))
    done = run(tmp_path, next(line for line in FOR_AUDITORS.splitlines() if " verify" in line))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "receipt.json: entry 1 of chain 0 is not what was signed: its signature does not fit\n"


def test_it_tells_how_to_check_a_receipt_without_this_program() -> None:
    """As the README says it, with the libraries alone."""
    golden = ROOT / "tests" / "pipeline" / "golden"
    key = load_pem_public_key((golden / "receipt-public.pem").read_bytes())
    assert isinstance(key, Ed25519PublicKey)
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for entry in json.loads((golden / "receipt.json").read_bytes())["entries"]:
        key.verify(base64.b64decode(entry.pop("signature")), rfc8785.dumps(entry))
        assert entry["signer"] == hashlib.sha256(der).hexdigest()[:32]


def test_the_settings_it_shows_are_accepted() -> None:
    import tomllib

    from pipeline.settings import parse

    shown = "\n".join(re.findall(r"^```toml\n(.*?)^```$", README, re.M | re.S))
    settings = parse(tomllib.loads(shown), ROOT)
    assert settings.cameras[0].name == "door"
    assert settings.deployment().scale.streams == 32
