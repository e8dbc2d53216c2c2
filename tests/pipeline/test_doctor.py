"""The doctor: what is well, what is wrong, what is not running, and the cure in each line."""

import os
import time
from pathlib import Path

import pytest

from connectors import ServiceRefused, ServiceUnavailable
from connectors.broker import EmbeddedBroker
from connectors.kafka import KafkaAccess
from connectors.kafka_admin import KafkaAdmin
from pipeline import doctor, topics
from pipeline.doctor import Finding, examine
from pipeline.home import Home
from pipeline.receipts import fingerprint
from pipeline.settings import Settings, parse
from pipeline.topology import FRAMES, TOPICS
from pipeline.wiring.receipts import signing_key


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.prepare()
    return home


def found(home: Home, settings: Settings) -> dict[str, Finding]:
    return {finding.subject: finding for finding in examine(home, settings)}


def test_a_look_that_fails_is_a_finding_and_the_next_one_follows(home: Home) -> None:
    def absent(_: Home, __: Settings) -> str:
        raise ServiceUnavailable("Kafka does not answer")

    def mistaken(_: Home, __: Settings) -> str:
        raise ServiceRefused("wrong password: correct it")

    looks = {"kafka": absent, "milvus": mistaken, "home": lambda *_: "is there"}
    assert list(examine(home, Settings(), looks)) == [
        Finding("kafka", "wrong", "Kafka does not answer"),
        Finding("milvus", "wrong", "wrong password: correct it", mistake=True),
        Finding("home", "ok", "is there"),
    ]


def test_what_rests_on_a_thing_that_is_wrong_is_not_looked_at(home: Home) -> None:
    def refused(_: Home, __: Settings) -> str:
        raise ServiceRefused("wrong password: correct it")

    def looked(_: Home, __: Settings) -> str:
        raise AssertionError

    assert list(examine(home, Settings(), {"kafka": refused, "topics": looked})) == [
        Finding("kafka", "wrong", "wrong password: correct it", mistake=True),
        Finding("topics", "idle", "cannot be looked at before kafka is well"),
    ]


def test_what_is_not_running_is_not_wrong(home: Home, tmp_path: Path) -> None:
    findings = found(home, parse({"models": {"cache": str(tmp_path)}, "api": {"port": 0}}, tmp_path))
    assert {subject: finding.state for subject, finding in findings.items()} == {
        "settings": "ok",
        "home": "ok",
        "keys": "ok",
        "receipts": "ok",
        "kafka": "idle",
        "topics": "idle",
        "erasure": "idle",
        "milvus": "idle",
        "models": "wrong",
        "provider": "idle",
        "api": "ok",
    }
    assert findings["kafka"].text == "Kafka is our own and not running; start it with: faceline up"
    assert findings["models"].text.endswith("get it with: faceline models pull")


def test_the_key_that_signs_receipts_is_looked_at_and_not_drawn(home: Home) -> None:
    looks = {"receipts": doctor.LOOKS["receipts"]}
    (finding,) = examine(home, Settings(), looks)
    assert finding.text.endswith("is drawn when the first receipt, or its public key, is asked for")
    assert not (home.keys / "receipts.pem").exists()
    key = signing_key(Settings(), home)
    (finding,) = examine(home, Settings(), looks)
    assert finding.text == f"signed by key {fingerprint(key.public)}, {home.keys}/receipts.pem"
    (home.keys / "receipts.pem").chmod(0o640)
    (finding,) = examine(home, Settings(), looks)
    assert (finding.state, finding.mistake) == ("wrong", True)
    assert "mode 0640, wanted 0400: run chmod 400" in finding.text


def test_settings_in_force_are_shown_without_secrets(home: Home) -> None:
    settings = parse(
        {
            "detect": {"batch": 4},
            "kafka": {"bootstrap": "broker:1"},
            "camera": [{"name": "door", "url": "rtsp://eve:hunter2@h/s"}],
        },
        home.path,
    )
    assert doctor.changed(settings) == {"kafka": {"bootstrap": "broker:1"}, "detect": {"batch": 4}}
    (finding,) = examine(home, settings.model_copy(update={"cameras": ()}), {"settings": doctor.LOOKS["settings"]})
    assert "[kafka] bootstrap = broker:1; [detect] batch = 4" in finding.text


def test_a_camera_that_cannot_be_read_is_told(home: Home) -> None:
    given = [
        {"name": "door", "url": "rtsp://eve:hunter2@camera.local/stream"},
        {"name": "web", "url": "http://eve:hunter2@camera.local/stream"},
        {"name": "clip", "file": "gone.mp4"},
    ]
    findings = list(examine(home, parse({"camera": given}, home.path), {}))
    assert [(finding.subject, finding.state) for finding in findings] == [
        ("camera door", "ok"),
        ("camera web", "wrong"),
        ("camera clip", "wrong"),
    ]
    assert "camera.local" in findings[0].text
    assert "gone.mp4' is not there" in findings[2].text
    assert "hunter2" not in str(findings)


def test_a_full_disk_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ENOUGH_BYTES", 1 << 62)
    (finding,) = examine(home, Settings(), {"home": doctor.LOOKS["home"]})
    assert finding.state == "wrong"
    assert "free some space" in finding.text


@pytest.mark.broker
def test_kafka_and_topics_as_they_are(home: Home, broker: EmbeddedBroker) -> None:
    settings = parse({"kafka": {"bootstrap": broker.bootstrap, "prefix": f"doctor{os.getpid()}-"}}, home.path)
    looks = {name: doctor.LOOKS[name] for name in ("kafka", "topics", "erasure")}
    kafka, missing, unpromised = examine(home, settings, looks)
    assert kafka == Finding("kafka", "ok", f"answers at {broker.bootstrap}")
    assert missing.state == "wrong"
    assert "faces is missing" in missing.text
    assert missing.text.endswith("repair with: faceline topics apply")
    assert unpromised.state == "wrong"
    assert "persons is missing: create it with faceline topics apply" in unpromised.text

    admin, deployment = KafkaAdmin(KafkaAccess(broker.bootstrap)), settings.deployment()
    topics.apply(admin, deployment)
    try:
        _, found, promised = examine(home, settings, looks)
        assert found == Finding("topics", "ok", "as the map says")
        assert promised.state == "ok"
        assert "gone from frames after 2 min 6 s" in promised.text
        assert "templates after 10 min 3" in promised.text
        assert "Milvus after 6 h" in promised.text

        admin.alter(deployment.name(FRAMES), {"retention.ms": "-1"})
        weakened = promised
        deadline = time.monotonic() + 10  # a changed setting is acknowledged before every answer knows it
        while weakened.state == "ok" and time.monotonic() < deadline:
            weakened = list(examine(home, settings, looks))[2]
        assert (weakened.state, weakened.mistake) == ("wrong", True)
        assert weakened.text == (
            f"{deployment.name(FRAMES)}: retention.ms is -1, so nothing is promised: repair with faceline topics apply"
        )
    finally:
        admin.delete_topics(deployment.name(topic) for topic in TOPICS)
