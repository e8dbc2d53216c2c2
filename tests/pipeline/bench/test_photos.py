"""The truth of the evaluation: who is on which photo."""

import csv
from pathlib import Path

import pytest

from pipeline.bench.photos import labels, persons
from pipeline.operations import Refused


def test_a_folder_with_one_folder_per_person(tmp_path: Path) -> None:
    for name, count in (("ada", 2), ("grace", 1)):
        (tmp_path / name).mkdir()
        for number in range(count):
            (tmp_path / name / f"{number}.jpg").touch()
    assert persons(tmp_path) == {"ada": [tmp_path / "ada" / "0.jpg", tmp_path / "ada" / "1.jpg"]}


def test_a_folder_without_photos_is_refused_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="one folder per person"):
        persons(tmp_path)


def test_thirteen_persons_agree_with_the_labelled_pairs(shared: Path) -> None:
    folder = shared / "media" / "people"
    assert len(persons(folder)) == 13
    assert sum(len(files) for files in labels().values()) == 61
    person = {file: name for name, files in labels().items() for file in files}
    with (folder / "master.csv").open(encoding="utf-8") as pairs:
        for pair in csv.DictReader(pairs):
            same = person[pair["file_x"]] == person[pair["file_y"]]
            assert same == (pair["Decision"] == "Yes")
