"""`faceline map` writes what the drawings and the contract say."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import contract, drawing
from pipeline.__main__ import run
from pipeline.topology import Deployment


@pytest.mark.parametrize(
    ("option", "expected"), [(None, drawing.text), ("--text", drawing.text), ("--mermaid", drawing.mermaid)]
)
def test_drawing_is_written_as_it_is(
    option: str | None, expected: Callable[[], str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["map"] if option is None else ["map", option]) == 0
    assert capsys.readouterr().out == expected()


def test_documents_are_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--home", str(tmp_path), "map", "--asyncapi"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(contract.asyncapi(Deployment())))
    assert run(["map", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == contract.json_schema()


def test_picture_goes_to_its_file(tmp_path: Path) -> None:
    assert run(["map", "--svg", str(tmp_path / "map.svg")]) == 0
    assert (tmp_path / "map.svg").read_text(encoding="utf-8") == drawing.svg()


def test_one_form_at_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["map", "--text", "--mermaid"]) == 2
    assert "choose one of" in capsys.readouterr().err
