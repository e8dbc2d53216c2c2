"""A pack tells people apart, on photos with known answers, and refuses files that are not its own."""

import csv
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models import ModelError
from models.catalogue import Pack
from models.image import decode
from models.pack import FaceModels, load
from models.store import ModelStore
from tests.models.test_embedder import mean_colour


def template_of(models: FaceModels, photo: Path) -> NDArray[np.float32]:
    image = decode(photo.read_bytes())
    largest = max(models.detect(image), key=lambda face: face.box[2] * face.box[3])
    template: NDArray[np.float32] = models.embed(image, [largest.landmarks])[0]
    return template


@pytest.mark.parametrize(("name", "least_hits"), [("dlib", 0.97), ("retail", 1.0)])
def test_people_are_told_apart(
    name: str, least_hits: float, shared: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    """300 labelled pairs of 25 photos: too few for an error rate, enough to see a preprocessing that is wrong."""
    models: FaceModels = request.getfixturevalue(name)
    people = shared / "media/people"
    with (people / "master.csv").open() as lines:
        pairs = list(csv.DictReader(lines))
    photos = sorted({pair[side] for pair in pairs for side in ("file_x", "file_y")})
    templates = {photo: template_of(models, people / photo) for photo in photos}
    alike = np.array([models.similarity(templates[pair["file_x"]], templates[pair["file_y"]]) for pair in pairs])
    same = np.array([pair["Decision"] == "Yes" for pair in pairs])
    rates = {
        "true accept rate": float((alike[same] >= models.threshold).mean()),
        "false accept rate": float((alike[~same] >= models.threshold).mean()),
        "equal error rate": equal_error_rate(alike[same], alike[~same]),
        "least alike of one person": float(alike[same].min()),
        "most alike of two": float(alike[~same].max()),
    }
    shown = ", ".join(f"{rate} {value:.3f}" for rate, value in rates.items())
    with capsys.disabled():
        sys.stdout.write(f"\n{name}: {shown}\n")
    assert rates["false accept rate"] == 0, rates
    assert rates["true accept rate"] >= least_hits, rates
    assert rates["equal error rate"] <= 0.005, rates


def equal_error_rate(same: NDArray[np.float64], different: NDArray[np.float64]) -> float:
    thresholds = np.concatenate([same, different])
    false_rejects = (same[None] < thresholds[:, None]).mean(axis=1)
    false_accepts = (different[None] >= thresholds[:, None]).mean(axis=1)
    best = np.argmin(np.abs(false_rejects - false_accepts))
    return float(false_rejects[best] + false_accepts[best]) / 2


@pytest.mark.parametrize("name", ["dlib", "retail"])
def test_a_batch_gives_what_single_faces_give(
    name: str, astronaut: NDArray[np.uint8], request: pytest.FixtureRequest
) -> None:
    models: FaceModels = request.getfixturevalue(name)
    (face,) = models.detect(astronaut)
    landmarks = [face.landmarks + np.float32(shift) for shift in range(11)]
    together = models.embed(astronaut, landmarks)
    assert together.dtype == np.float32
    assert together.shape == (11, models.dimension)
    apart = np.concatenate([models.embed(astronaut, [points]) for points in landmarks])
    np.testing.assert_allclose(together, apart, atol=1e-5)
    assert models.embed(astronaut, []).shape == (0, models.dimension)
    if models.metric == "cosine":
        np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    assert models.similarity(together[0], together[0]) == pytest.approx(1, abs=1e-6)


def test_threads_may_share_a_pack(dlib: FaceModels, astronaut: NDArray[np.uint8], hopper: NDArray[np.uint8]) -> None:
    def template(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        return dlib.embed(image, [face.landmarks for face in dlib.detect(image)])

    alone = [template(astronaut), template(hopper)]
    with ThreadPoolExecutor(2) as pool:
        for expected, found in zip(alone * 3, pool.map(template, [astronaut, hopper] * 3), strict=True):
            np.testing.assert_array_equal(expected, found)
    assert dlib.similarity(alone[0][0], alone[1][0]) < dlib.threshold


def test_what_is_loaded_is_said(dlib: FaceModels, dlib_pack: Pack) -> None:
    assert (dlib.name, dlib.dimension, dlib.metric, dlib.provider) == ("dlib", 128, "l2", "cpu")
    assert dlib.threshold == dlib_pack.threshold


def test_what_loads_and_does_not_run_is_told_in_one_line(dlib: FaceModels) -> None:
    dlib.try_out()
    of_seven_only = replace(dlib.embedder, session=mean_colour(7))
    broken = replace(dlib, embedder=of_seven_only)
    with pytest.raises(ModelError, match="pack dlib is loaded on cpu and fails there: ") as caught:
        broken.try_out()
    assert "\n" not in str(caught.value)


def test_a_file_changed_after_it_was_fetched_is_refused(store: ModelStore, dlib_pack: Pack, tmp_path: Path) -> None:
    files = {name: Path(shutil.copy(path, tmp_path)) for name, path in store.ensure(dlib_pack).items()}
    victim = files["mmod_human_face_detector.onnx"]
    content = bytearray(victim.read_bytes())
    content[-1] ^= 1
    victim.write_bytes(content)
    with pytest.raises(ModelError, match="not the one of the catalogue"):
        load(dlib_pack, files)
    victim.unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        load(dlib_pack, files)
