"""The catalogue is strict: what it does not understand, it refuses by name."""

import pytest

from models import ModelError
from models.catalogue import CATALOGUE, Converted, ModelFile, load_catalogue, parse_catalogue


def test_the_four_packs_are_there() -> None:
    catalogue = load_catalogue()
    assert [pack.name for pack in catalogue.packs] == ["dlib", "retail", "opencv", "buffalo_l"]
    assert [pack.name for pack in catalogue.packs if pack.licence_accept] == ["buffalo_l"]


def test_an_unknown_pack_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"no model pack 'facenet': choose one of dlib, retail, opencv, buffalo_l"):
        load_catalogue().pack("facenet")


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("minimum_face = 96", "minimum_face = 96\nmaximum_face = 500", "maximum_face"),
        ('metric = "l2"', 'metric = "euclid"', "euclid"),
        ("dimension = 128", "dimension = 0", "dimension"),
        ("strangers = 0.12", "strangers = 0.5", "has the threshold 0.45, which is not between"),
        ('sha256 = "35fd', 'sha256 = "35FD', "sha256"),
        ('name = "yunet_n_dynamic.onnx"', 'name = "../yunet_n_dynamic.onnx"', "name"),
        ('name = "retail"', 'name = "dlib"', "two packs"),
        ('model = "yunet_n_dynamic.onnx"', 'model = "yunet_s_dynamic.onnx"', "uses the files"),
    ],
)
def test_a_wrong_catalogue_is_refused_in_one_line(right: str, wrong: str, said: str) -> None:
    content = CATALOGUE.read_text()
    assert right in content
    with pytest.raises(ModelError, match=said) as caught:
        parse_catalogue(content.replace(right, wrong, 1).encode())
    assert "\n" not in str(caught.value)


def test_no_file_name_stands_for_two_contents_and_the_68_point_model_is_nowhere() -> None:
    checksums: dict[str, str] = {}
    for file in (file for pack in load_catalogue().packs for file in everything(pack.files)):
        assert checksums.setdefault(file.name, file.sha256) == file.sha256
        assert "68" not in file.name


def everything(files: tuple[ModelFile, ...]) -> list[ModelFile]:
    nested = [everything(file.source.sources) for file in files if isinstance(file.source, Converted)]
    return [*files, *(file for part in nested for file in part)]
