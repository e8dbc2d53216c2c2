"""Converted weights compute what the originals compute."""

from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from models import ModelError
from models.conversion import convert
from models.conversion.openvino import openvino_to_onnx
from models.pack import FaceModels
from models.session import Session
from models.shape_predictor import ShapePredictor
from models.store import ModelStore


def test_retail_equals_the_reference_conversion(shared: Path) -> None:
    folder, name = shared / "models", "face-reidentification-retail-0095"
    parts = [(folder / f"{name}.{suffix}").read_bytes() for suffix in ("xml", "bin")]
    content = convert("openvino", parts)
    assert content == convert("openvino", parts)
    pixels = np.random.default_rng(7).uniform(0, 255, (3, 3, 128, 128)).astype(np.float32)
    reference = Session("reference", (folder / f"{name}.onnx").read_bytes()).run(pixels)[0]
    np.testing.assert_allclose(Session(name, content).run(pixels)[0], reference, atol=1e-5)
    operators = {node.op_type for node in onnx.load_model_from_string(content).graph.node}
    assert "PRelu" not in operators


def test_descriptor_equals_dlibs_own(dlib: FaceModels, store: ModelStore, astronaut: NDArray[np.uint8]) -> None:
    """The first numbers that dlib 20.0.1 itself gives for this piece of the photo, unaligned."""
    expected = [-0.05501, 0.06535, 0.00713, 0.01306, -0.17218, -0.00902, -0.00498, -0.16727]
    network = Session("resnet", (store.folder / "dlib_face_recognition_resnet_model_v1.onnx").read_bytes())
    chip = astronaut[50:200, 150:300, ::-1].transpose(2, 0, 1)[None]
    np.testing.assert_allclose(network.run(chip)[0][0, :8], expected, atol=2e-5)


def test_landmarks_equal_dlibs_own(dlib: FaceModels, store: ModelStore, astronaut: NDArray[np.uint8]) -> None:
    """What dlib 20.0.1 itself gives for this box; it rounds to whole pixels."""
    expected = [(255, 104), (237, 105), (195, 101), (212, 103), (224, 135)]
    predictor = ShapePredictor((store.folder / "shape_predictor_5_face_landmarks.npz").read_bytes())
    np.testing.assert_allclose(predictor.predict(astronaut, (168, 69, 96, 96)), expected, atol=0.6)


def test_the_landmarks_are_the_same_bytes_under_every_python(dlib: FaceModels, store: ModelStore) -> None:
    """Python 3.11.4 began to write the 20 bytes that zip64 adds to a header where numpy.savez asks for it."""
    content = (store.folder / "shape_predictor_5_face_landmarks.npz").read_bytes()
    for entry in ZipFile(BytesIO(content)).infolist():
        extra = content[entry.header_offset + 28 : entry.header_offset + 30]
        assert (extra, entry.create_version, entry.date_time) == (b"\0\0", 20, (1980, 1, 1, 0, 0, 0))


def test_a_file_of_another_network_is_refused() -> None:
    spec = find_spec("face_recognition_models")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "models"
    landmarks = (folder / "shape_predictor_5_face_landmarks.dat").read_bytes()
    detector = (folder / "mmod_human_face_detector.dat").read_bytes()
    with pytest.raises(ModelError):
        convert("dlib-resnet", [landmarks])
    with pytest.raises(ModelError):
        convert("dlib-resnet", [detector])
    with pytest.raises(ModelError):
        convert("dlib-mmod", [detector[:4000]])


IR = """<net version="11"><layers>
<layer id="0" type="Parameter"><data shape="1,2,2,2"/><output><port id="0"/></output></layer>
<layer id="1" type="{kind}"><input><port id="0"><dim>1</dim><dim>2</dim><dim>2</dim><dim>2</dim></port></input></layer>
<layer id="2" type="Result"><input><port id="0"><dim>1</dim><dim>2</dim><dim>2</dim><dim>2</dim></port></input></layer>
</layers><edges>
<edge from-layer="0" from-port="0" to-layer="1" to-port="0"/>
<edge from-layer="1" from-port="1" to-layer="2" to-port="0"/>
</edges></net>"""


def test_a_small_network_is_converted() -> None:
    pixels = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)
    model = Session("sigmoid", openvino_to_onnx(IR.format(kind="Sigmoid").encode(), b""))
    np.testing.assert_allclose(model.run(pixels)[0], 1 / (1 + np.exp(-pixels.reshape(1, 8))), rtol=1e-6)


def test_an_unknown_layer_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match="layer Einsum"):
        openvino_to_onnx(IR.format(kind="Einsum").encode(), b"")
