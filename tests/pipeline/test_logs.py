"""Logs: one JSON line per record, with nothing but the allowed fields, rotated, and quiet about repetition."""

import json
import logging
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors import ServiceUnavailable
from pipeline import logs
from pipeline.home import Home
from pipeline.settings import Logs

OURS = logging.getLogger("pipeline.example")
THEIRS = logging.getLogger("somelibrary")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    home = Home(tmp_path)
    home.prepare()
    yield home
    for handler in set(root.handlers) - set(handlers):
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    for package in logs.OUR_PACKAGES:
        logging.getLogger(package).setLevel(logging.NOTSET)


def lines(home: Home) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home.logs / "detect.jsonl").read_text().splitlines()]


def test_a_line_has_the_allowed_fields_alone(home: Home) -> None:
    logs.configure(home, Logs(), "detect")
    OURS.info("took %d", 3, extra={"stage": "detect", "count": 3, "person": "Eileen", "template": [0.1]})
    (line,) = lines(home)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "INFO",
        "process": "detect",
        "logger": "pipeline.example",
        "message": "took 3",
        "stage": "detect",
        "count": 3,
    }
    assert stat.S_IMODE((home.logs / "detect.jsonl").stat().st_mode) == 0o600


def test_an_exception_of_ours_keeps_its_text_and_a_librarys_does_not(home: Home) -> None:
    logs.configure(home, Logs(), "detect")
    for error in (ServiceUnavailable("Kafka does not answer"), ValueError("Eileen Collins")):
        try:
            raise error
        except (ServiceUnavailable, ValueError):
            OURS.exception("failed")
    first, second = lines(home)
    assert first["exception"].endswith("ServiceUnavailable: Kafka does not answer")
    assert second["exception"].endswith("> ValueError")
    assert "test_an_exception_of_ours" in second["exception"]
    assert "Eileen" not in (home.logs / "detect.jsonl").read_text()


def test_libraries_speak_from_warnings_on_and_repeat_nothing(home: Home) -> None:
    logs.configure(home, Logs(level="debug"), "detect")
    THEIRS.info("connecting")
    for attempt in range(50):
        THEIRS.warning("unable to connect, try %d", attempt)
        OURS.debug("ours, try %d", attempt)
    said = [line["logger"] for line in lines(home)]
    assert said.count("somelibrary") == 1
    assert said.count("pipeline.example") == 50


def test_the_file_is_rotated(home: Home) -> None:
    logs.configure(home, Logs(max_mb=1, keep=2), "detect")
    for _ in range(40):
        OURS.info("x" * 100_000)
    files = sorted(file.name for file in home.logs.iterdir())
    assert files == ["detect.jsonl", "detect.jsonl.1", "detect.jsonl.2"]
    assert all(file.stat().st_size <= 1 << 20 for file in home.logs.iterdir())


def test_the_console_gets_plain_lines(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(home, Logs(), "detect", console=True)
    OURS.warning("waiting for Kafka")
    assert capsys.readouterr().err.endswith(" detect WARNING waiting for Kafka\n")
