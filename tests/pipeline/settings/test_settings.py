"""The settings file: what it refuses and in which words, what it means, and the template that cannot go stale."""

import re
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline import settings
from pipeline.settings import Settings, SettingsError
from pipeline.settings.mistakes import fields, table_of
from pipeline.settings.tables import MOVE_CLOCK
from pipeline.settings.template import template
from pipeline.topology import Deployment, Scale

DOOR = {"name": "door", "url": "rtsp://camera.local/stream"}


def refused(toml: str, tmp_path: Path) -> list[str]:
    (tmp_path / settings.FILE).write_text(toml)
    with pytest.raises(SettingsError) as caught:
        settings.load(tmp_path)
    assert str(caught.value) == "\n".join(caught.value.lines)
    return caught.value.lines


def parsed(**given: Any) -> Settings:
    return settings.parse(given, Path("/home"))


def test_no_file_means_the_defaults(tmp_path: Path) -> None:
    assert settings.load(tmp_path) == Settings()


@pytest.mark.parametrize(
    ("toml", "line"),
    [
        ('[kafka]\nbootstrp = "x:1"', "[kafka] bootstrp: unknown setting; did you mean bootstrap?"),
        ("[kafak]", "[kafak]: unknown table; did you mean kafka?"),
        (
            "[detect]\nspeed = 1",
            "[detect] speed: unknown setting; there is: batch, confirm_after, track_gap, better_by",
        ),
        (
            '[kafka]\nstreams = "four"',
            '[kafka] streams: "four" is refused: input should be a valid integer; write for example streams = 4',
        ),
        (
            "[metrics]\nport = true",
            "[metrics] port: true is refused: input should be a valid integer; write for example port = 0",
        ),
        (
            '[logs]\nlevel = "warn"',
            "[logs] level: \"warn\" is refused: input should be 'debug', 'info', 'warning' or 'error'; "
            "did you mean 'warning'?",
        ),
        (
            '[identify]\nkeep = "1 day"',
            '[identify] keep: "1 day": not a duration; write seconds, or a number with s, m, h or d',
        ),
        (
            '[[camera]]\nname = "door"\nurl = "rtsp://h/s"\nfps = 900',
            "[[camera]] door fps: 900 is refused: input should be less than or equal to 60; "
            "write for example fps = 5.0",
        ),
        ('[[camera]]\nname = "door"', "[[camera]] door: needs exactly one of url, file and device"),
        (
            '[[camera]]\nurl = "rtsp://h/s"',
            '[[camera]] number 1 name: is missing; write for example name = "door"',
        ),
        (
            '[[camera]]\nname = "door"\nurl = "rtsp://h/s"\ncollections = ["club/people"]',
            "[[camera]] door collections: [\"club/people\"]: 'club/people' is no gallery; write kind/id with a kind of "
            "largepersongroup, persongroup",
        ),
        (
            '[[camera]]\nname = "a"\nurl = "rtsp://h/s"\n[[camera]]\nname = "a"\nurl = "rtsp://h/t"',
            "[[camera]]: a stands there twice; a camera's name is its own",
        ),
        ("kafka = 5", "[kafka]: is no table; write its settings under a heading [kafka]"),
        (
            '[camera]\nname = "door"',
            "[[camera]]: is no table; write its settings under a heading [[camera]]",
        ),
        (
            '[kafka]\nbootstrap = "h:1"\nsecurity_protocol = "SASL_SSL"',
            "[kafka]: security_protocol SASL_SSL needs sasl_mechanism and username",
        ),
        (
            '[keys]\nstore = "mysql://h/keys"',
            '[keys] store: the value (not shown): write "file", or postgresql://user@host:port/database',
        ),
        ('[keys]\nprovider = "vault"', "[keys]: provider vault needs vault_address"),
        ('[keys]\nprovider = "aws"', "[keys]: provider aws needs aws_region"),
        (
            '[keys]\nprovider = "hsm"',
            "[keys] provider: \"hsm\" is refused: input should be 'file', 'vault' or 'aws'; "
            'write for example provider = "file"',
        ),
    ],
)
def test_a_mistake_is_one_line(toml: str, line: str, tmp_path: Path) -> None:
    assert refused(toml, tmp_path) == [f"faceline.toml: {line}"]


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    lines = refused('[kafka]\nstreams = "x"\ntabels = 2\n[models]\nthreads = 0', tmp_path)
    assert len(lines) == 3
    assert all("\n" not in line for line in lines)


def test_broken_toml_names_the_place(tmp_path: Path) -> None:
    assert "line 2" in refused("[kafka]\nstreams = = 4", tmp_path)[0]


@pytest.mark.parametrize(
    "toml",
    [
        '[[camera]]\nname = "door"\nurl = ["rtsp://eve:hunter2@h/s"]',
        'camera = "rtsp://eve:hunter2@h/s"',
        '[camera]\nname = "door"\nurl = "rtsp://eve:hunter2@h/s"',
        '[[camera]]\nname = "door"\nurl = "rtsp://eve:hunter2@h/s"\nfile = "x"',
        '[kafka]\npassword = "hunter2"',
        '[milvus]\nuri = "http://eve:hunter2@h:19530"',
        '[keys]\nstore = "postgresql://eve:hunter2@h/keys"',
        '[keys]\nstore = "postgresql://eve@h/keys?password=hunter2"',
    ],
)
def test_a_secret_stays_out_of_the_message(toml: str, tmp_path: Path) -> None:
    assert "hunter2" not in "\n".join(refused(toml, tmp_path))


@pytest.mark.parametrize(("name", "most"), [("vault_key", 100), ("aws_alias", 200)])
def test_the_name_of_a_root_key_has_an_end_and_no_blank(name: str, most: int, tmp_path: Path) -> None:
    longest = "ß" * most
    assert getattr(parsed(keys={name: longest}).keys, name) == longest
    for wrong in ("", "a key", f"{longest}ß"):
        assert len(refused(f'[keys]\n{name} = "{wrong}"', tmp_path)) == 1


def test_a_secret_stays_out_of_the_repr() -> None:
    assert "hunter2" not in repr(parsed(camera=[{"name": "door", "url": "rtsp://eve:hunter2@h/s"}]))


def test_a_camera_says_what_its_faces_are_for() -> None:
    camera = parsed(camera=[{**DOOR, "collections": ["people", "persongroup/staff"], "face_ttl": "10m"}]).camera("door")
    watch = camera.watch()
    assert watch.collections == ("largepersongroup/people", "persongroup/staff")
    assert watch.face_ttl == 600
    assert watch.threshold is None


def test_a_file_waits_and_a_stream_skips_unless_told_otherwise() -> None:
    given = [DOOR, {"name": "clip", "file": "clip.mp4"}, {"name": "fast", "file": "clip.mp4", "policy": "latest"}]
    assert [camera.policy for camera in parsed(camera=given).cameras] == ["latest", "all", "latest"]


def test_paths_start_at_the_file() -> None:
    assert parsed(camera=[{"name": "clip", "file": "clip.mp4"}]).camera("clip").source() == "/home/clip.mp4"


def test_an_unknown_camera_names_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"no \[\[camera\]\] is called 'yard'; there is: door"):
        parsed(camera=[DOOR]).camera("yard")


def test_the_deployment_of_the_settings() -> None:
    given = parsed(kafka={"streams": 32, "tables": 8, "replication": 3, "prefix": "site1."})
    assert given.deployment() == Deployment(Scale(32, 8), 3, "site1.")


def test_metrics_ports_count_on_from_the_first() -> None:
    given = parsed(metrics={"port": 9100}, camera=[DOOR])
    names = ["detect", "identify", "expire", "control", "erase", "enrol", "api", "capture-door"]
    assert [given.metrics_port(name) for name in names] == [9100, 9101, 9102, 9103, 9104, 9105, 9106, 9107]
    assert given.metrics_port("detect-2") == 0
    assert Settings().metrics_port("detect") == 0


def test_the_password_comes_from_the_environment_or_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("from-file\n")
    kafka = settings.parse({"kafka": {"password_file": "secret"}}, tmp_path).kafka
    monkeypatch.delenv("FACELINE_KAFKA_PASSWORD", raising=False)
    assert kafka.password() == "from-file"
    monkeypatch.setenv("FACELINE_KAFKA_PASSWORD", "from-environment")
    assert kafka.password() == "from-environment"
    with pytest.raises(SettingsError, match=r"\[milvus\] token_file: .*gone cannot be read"):
        settings.parse({"milvus": {"token_file": "gone"}}, tmp_path).milvus.token()


def test_a_moved_clock_must_be_said_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / settings.FILE).write_text('[clock]\noffset = "24h"\n')
    monkeypatch.delenv(MOVE_CLOCK, raising=False)
    with pytest.raises(SettingsError, match=r"\[clock\] offset.*set FACELINE_MOVE_CLOCK=1 as well"):
        settings.load(tmp_path)
    monkeypatch.setenv(MOVE_CLOCK, "1")
    ahead = settings.load(tmp_path).now() - datetime.now(UTC)
    assert timedelta(hours=23, minutes=59) < ahead <= timedelta(hours=24)
    assert abs(Settings().now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_the_template_means_the_defaults() -> None:
    assert settings.parse(tomllib.loads(template()), Path("/home")) == Settings()


def test_the_template_shows_every_setting_with_its_default() -> None:
    shown = tomllib.loads(re.sub(r"(?m)^#(?=\w+ = |\[\[)", "", template()))
    for heading, info in fields(Settings).items():
        found = table_of(info)
        assert found is not None
        table, repeated = found
        lines = shown[heading][0] if repeated else shown[heading]
        assert set(lines) == set(fields(table))
        assert all(setting.description for setting in fields(table).values())
        # Two sources of one camera contradict each other; everything else may be uncommented at once.
        for contradicting in ("file", "device", "loop", "security_protocol"):
            lines.pop(contradicting, None)
    assert settings.parse(shown, Path("/home")).detect == Settings().detect
