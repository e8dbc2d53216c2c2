"""What a person types wrong is told in one line, with exit code 2, before anything is started."""

from pathlib import Path

import pytest

from pipeline.__main__ import run


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["person", "add"], "give a name and at least one photo"),
        (["person", "add", "Ada"], "give a name and at least one photo"),
        (["person", "add", "Ada", "absent.jpg"], "absent.jpg: no such file"),
        (["person", "add", "Ada", "a.jpg", "--from", "folder"], "not both"),
        (["person", "add", "Ada", "a.jpg", "--face", "1,2,3"], "--face 1,2,3 is no rectangle"),
        (["person", "add", "Ada", "a.jpg", "--collection", "No/Such"], "'No/Such' is no collection"),
        (["person", "list", "--collection", "UPPER"], "'UPPER' is no id"),
        (["collection", "delete", "a/b/c"], "'a/b/c' is no collection"),
        (["person", "list"], "nothing runs in the home"),
        (["watch"], "nothing runs in the home"),
    ],
)
def test_mistake_is_one_line(
    arguments: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--home", str(tmp_path / "home"), *arguments]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
