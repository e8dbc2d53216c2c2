"""The access keys on the command line: shown, and replaced one at a time."""

import re
from pathlib import Path

import pytest

from pipeline.__main__ import run


def keys(home: Path, *arguments: str, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    assert run(["--home", str(home), "key", *arguments]) == 0
    return dict(re.findall(r"^key (\d)  ([0-9a-f]{32})$", capsys.readouterr().out, re.M))


def test_keys_are_shown_and_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = keys(tmp_path, "show", capsys=capsys)
    assert set(before) == {"1", "2"}
    fresh = keys(tmp_path, "rotate", "2", capsys=capsys)
    assert fresh.keys() == {"2"}
    assert fresh["2"] != before["2"]
    assert keys(tmp_path, "show", capsys=capsys) == {**before, **fresh}


def test_a_third_key_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--home", str(tmp_path), "key", "rotate", "3"]) == 2
    assert "'number'" in capsys.readouterr().err


def test_the_settings_may_name_another_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "faceline.toml").write_text('[api]\nkeys_file = "mine"\n')
    shown = keys(tmp_path, "show", capsys=capsys)
    assert (tmp_path / "mine").read_text().split() == list(shown.values())
