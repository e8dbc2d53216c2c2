"""What an auditor may get wrong at the command line: one line each, before anything is touched."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from pipeline.__main__ import run


def told(capsys: pytest.CaptureFixture[str], home: Path, *arguments: str) -> str:
    assert run(["--home", str(home), "audit", "erasure", *arguments]) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.count("\n") == 1
    return errors


def test_a_folder_that_is_no_brokers(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "kafka").mkdir()
    line = told(capsys, tmp_path, "--kafka-data", str(tmp_path / "kafka"))
    assert "holds no partitions: give the folder that is log.dirs of the broker" in line


def test_a_folder_that_may_not_be_listed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kafka" / "t-0").mkdir(parents=True)
    opening = os.open

    def refused(path: Any, *given: Any, **named: Any) -> int:
        if path == tmp_path / "kafka" / "t-0":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opening(path, *given, **named)

    monkeypatch.setattr(os, "open", refused)
    line = told(capsys, tmp_path, "--kafka-data", str(tmp_path / "kafka"))
    assert "t-0 cannot be listed: Permission denied; run this as its owner" in line


@pytest.mark.parametrize("content", [b"\xff\xfe", b'"hunter2"', json.dumps([1.0, 2.0]).encode()])
def test_a_canary_that_is_no_vector(capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "canary.json"
    file.write_bytes(content)
    line = told(capsys, tmp_path, "--canary", str(file))
    assert "canary.json holds no vectors" in line
    assert "hunter2" not in line


def test_a_canary_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "cannot be read: No such file" in told(capsys, tmp_path, "--canary", str(tmp_path / "none.json"))


def test_nothing_runs_here(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "nothing runs in the home" in told(capsys, tmp_path)
