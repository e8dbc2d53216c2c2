"""Whose photo is whose, when many are enrolled from one folder."""

from pathlib import Path

import pytest

from pipeline.operations import Refused
from pipeline.operations.album import Wanted, from_folder, one


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_folder_and_file_are_a_person_each(tmp_path: Path) -> None:
    touch(tmp_path, "Ada/2.JPG", "Ada/1.png", "Ada/notes.txt", "Grace.jpeg", ".hidden.jpg", "README.md", "Empty/x.txt")
    assert from_folder(tmp_path) == [
        Wanted("Ada", (tmp_path / "Ada/1.png", tmp_path / "Ada/2.JPG")),
        Wanted("Grace", (tmp_path / "Grace.jpeg",)),
    ]


def test_folder_without_photos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no photos"):
        from_folder(tmp_path)
    with pytest.raises(Refused, match="no such folder"):
        from_folder(tmp_path / "absent")


def test_absent_photo_is_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"ada.jpg: no such file"):
        one("Ada", [tmp_path / "ada.jpg"])
