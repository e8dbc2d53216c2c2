"""The whole pipeline on an operator's locked Kafka (SASL_SSL, SCRAM), from the settings file to the last tombstone."""

import asyncio
import json
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import pytest
import pytest_asyncio
from confluent_kafka import Consumer
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its names are public, but not re-exported
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from connectors.broker import EmbeddedBroker
from connectors.footage import GRACE_HOPPER, Placement, Scene, View, make_clip, portraits
from pipeline.home import Home
from pipeline.machine.supervisor import Supervisor
from pipeline.settings import FILE, Settings, load
from tests.connectors.authority import HOST, Authority, free_ports

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.broker,
    pytest.mark.milvus,
    pytest.mark.timeout(240),
]

SHARED_MODELS = Path(__file__).parents[3] / "shared" / "models"
STAGES = {"detect", "identify", "expire", "control", "erase", "enrol"}
USER = "faceline"
SECRET = secrets.token_urlsafe(16)
MECHANISM = "SCRAM-SHA-512"
PATIENCE = 60.0
SETTINGS = """
[kafka]
bootstrap = "{bootstrap}"
security_protocol = "SASL_SSL"
sasl_mechanism = "{mechanism}"
username = "{user}"
password_file = "kafka-password"
ca_file = "{ca}"
[models]
{models}
[api]
port = 0
[detect]
track_gap = 0.4
[[camera]]
name = "door"
file = "clip.mp4"
loop = true
policy = "latest"
fps = 5
"""


@dataclass(frozen=True, slots=True)
class Locked:
    """The broker's address for those who can prove who they are, and whom their certificates come from."""

    bootstrap: str
    authority: Authority


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def locked(kafka_jars: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Locked]:
    """A broker with a SASL_SSL listener, which knows one user."""
    folder = tmp_path_factory.mktemp("locked")
    authority = Authority(folder)
    plain, controller, login = free_ports(3)
    addresses = f"PLAINTEXT://{HOST}:{plain},SASL_SSL://{HOST}:{login}"
    module = "org.apache.kafka.common.security.scram.ScramLoginModule"
    overrides = {
        "listeners": f"{addresses},CONTROLLER://{HOST}:{controller}",
        "advertised.listeners": addresses,
        "controller.quorum.voters": f"1@{HOST}:{controller}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(authority.issue("broker")),
        "sasl.enabled.mechanisms": MECHANISM,
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": f"{module} required;",
    }
    broker = EmbeddedBroker(folder / "kafka", kafka_jars, port=plain, overrides=overrides)
    await broker.start()
    try:
        await asyncio.to_thread(_known, broker.bootstrap)
        yield Locked(f"{HOST}:{login}", authority)
    finally:
        await broker.stop()


def _known(bootstrap: str) -> None:
    """Make the user known, through the listener that the broker has for itself."""
    wanted = UserScramCredentialUpsertion(
        USER, ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), SECRET.encode()
    )
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for done in admin.alter_user_scram_credentials([wanted]).values():
        done.result(30)


def _home(folder: Path, locked: Locked, password: str) -> tuple[Home, Settings]:
    home = Home(folder)
    home.prepare()
    models = f'pack = "retail"\nsource = "{SHARED_MODELS}"' if SHARED_MODELS.is_dir() else 'pack = "dlib"'
    text = SETTINGS.format(
        bootstrap=locked.bootstrap, mechanism=MECHANISM, user=USER, ca=locked.authority.file, models=models
    )
    (folder / FILE).write_text(text)
    (folder / "kafka-password").write_text(f"{password}\n")
    return home, load(folder)


async def _faceline(home: Home, *arguments: str) -> tuple[int | None, str, str]:
    """Exit code, output and errors of a command."""
    command = [sys.executable, "-P", "-m", "pipeline", "--home", str(home.path), *arguments]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
    return process.returncode, output.decode(), errors.decode()


@dataclass
class Application:
    """A consumer of the outward topic that has nothing of ours: librdkafka, JSON, and the documented login."""

    consumer: Consumer
    told: dict[str, Any] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Read until it holds; AssertionError naming it after a minute."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline, f"waited in vain for {what}"
            await asyncio.to_thread(self._read)

    def tracks_of(self, person: str) -> set[str]:
        """The tracks under which that person stands in the topic now."""
        return {track for track, each in self.told.items() if each.get("personId") == person}

    def _read(self) -> None:
        for message in self.consumer.consume(100, 0.2):
            assert message.error() is None, message.error()
            key, value = message.key(), message.value()
            assert key is not None
            if value is None:
                self.told.pop(key.decode(), None)
                self.forgotten.add(key.decode())
            else:
                self.told[key.decode()] = json.loads(value)


def _application(locked: Locked) -> Consumer:
    consumer = Consumer(
        {
            "bootstrap.servers": locked.bootstrap,
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": MECHANISM,
            "sasl.username": USER,
            "sasl.password": SECRET,
            "ssl.ca.location": str(locked.authority.file),
            "group.id": "application",
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    consumer.subscribe(["identifications"])
    return consumer


async def test_somebody_is_enrolled_named_and_forgotten(locked: Locked, tmp_path: Path) -> None:
    home, settings = _home(tmp_path / "home", locked, SECRET)
    photo = tmp_path / "grace.jpg"
    cv2.imwrite(str(photo), portraits()[GRACE_HOPPER])
    passage = Scene(1.8, (Placement(portraits()[GRACE_HOPPER], View(0.42, 0.55, 1.3), View(0.58, 0.55, 1.3)),))
    make_clip(home.path / "clip.mp4", [passage, Scene(0.8)], size=(640, 360), fps=15)
    async with Supervisor(home, settings) as running:
        assert running.bootstrap == locked.bootstrap
        assert set(running.pids()) == {*STAGES, "api", "milvus", "capture-door"}
        code, output, errors = await _faceline(home, "person", "add", GRACE_HOPPER, str(photo))
        assert code == 0, errors
        person = output.split()[-1]
        with closing(_application(locked)) as consumer:
            application = Application(consumer)
            await application.until(lambda: len(application.tracks_of(person)) >= 2, "two passages with a name")
            named = application.tracks_of(person)
            code, _, errors = await _faceline(home, "person", "delete", GRACE_HOPPER)
            assert code == 0, errors
            await application.until(
                lambda: not application.tracks_of(person) and named <= application.forgotten, "the tombstones"
            )
            since = set(application.told)
            await application.until(lambda: bool(set(application.told) - since), "a passage without a name")
            assert not application.tracks_of(person)
        code, output, _ = await _faceline(home, "check")
        assert code == 0, output
        assert not any(running.restarts().values()), running.restarts()


@pytest.mark.parametrize("command", ["check", "up", "person list"])
async def test_a_wrong_password_is_one_line_that_names_the_cure(locked: Locked, tmp_path: Path, command: str) -> None:
    home, _ = _home(tmp_path / "home", locked, "falsch")
    code, output, errors = await _faceline(home, *command.split())
    told = [line for line in f"{output}{errors}".splitlines() if "does not accept us" in line]
    assert len(told) == 1, output + errors
    assert f"Kafka at {locked.bootstrap}" in told[0]
    assert "correct username, password or certificates" in told[0]
    assert "falsch" not in output + errors
    assert code == 2
