"""CUDA gives what the CPU gives, or one line says which library is missing; nothing goes on without it."""

import ctypes

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import pytest
from numpy.typing import NDArray

from models import ModelError
from models.catalogue import load_catalogue
from models.cuda import DRIVER, require
from models.pack import FaceModels, load
from models.session import Session
from models.store import ModelStore
from tests.models.test_session import inside, model

# Measured on an H200 over 29 photos: up to 3e-4 px and 4e-7. With TF32 it would be 0.1 px and 2e-4.
PIXELS = 0.01
NUMBERS = 1e-5
BUILT_FOR_CUDA = "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def driver_is_here() -> bool:
    try:
        ctypes.CDLL(DRIVER)
    except OSError:
        return False
    return True


# Not "where no session opens on it": a session that should open and does not must fail these tests.
on_cuda = pytest.mark.skipif(not (BUILT_FOR_CUDA and driver_is_here()), reason="no onnxruntime for CUDA, or no driver")


def test_the_first_library_that_is_missing_is_named_with_its_cure() -> None:
    with pytest.raises(ModelError) as caught:
        require(("libc.so.6", "libnowhere.so.13", "libnever.so.1"), "install it")
    assert str(caught.value) == (
        "the provider cuda was asked for, but libnowhere.so.13 cannot be loaded (cannot open shared object file: No "
        "such file or directory): install it, or set the provider to cpu"
    )
    require(("libc.so.6",), "install it")


@pytest.mark.skipif(BUILT_FOR_CUDA, reason="this onnxruntime is built for CUDA")
def test_an_onnxruntime_for_the_cpu_is_named() -> None:
    with pytest.raises(ModelError, match=r"built for the CPU: install the extra faceline\[gpu\]"):
        Session("plus", model(inside()), provider="cuda")


@pytest.mark.skipif(not BUILT_FOR_CUDA or driver_is_here(), reason="a driver is here, or no onnxruntime that needs it")
def test_a_missing_driver_is_named_and_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelError, match=r"libcuda\.so\.1 cannot be loaded .*: install NVIDIA's driver"):
        Session("plus", model(inside()), provider="cuda")
    assert capfd.readouterr() == ("", "")


@pytest.mark.gpu
@on_cuda
def test_a_session_runs_on_cuda() -> None:
    assert Session("plus", model(inside()), provider="cuda").provider == "cuda"


@pytest.mark.gpu
@on_cuda
@pytest.mark.parametrize("name", ["dlib", "retail"])
def test_cuda_finds_and_describes_faces_as_the_cpu_does(
    name: str,
    store: ModelStore,
    astronaut: NDArray[np.uint8],
    hopper: NDArray[np.uint8],
    request: pytest.FixtureRequest,
) -> None:
    on_cpu: FaceModels = request.getfixturevalue(name)
    pack = load_catalogue().pack(name)
    on_gpu = load(pack, store.ensure(pack), provider="cuda")
    for image in (astronaut, hopper):
        (expected,), (found,) = on_cpu.detect(image), on_gpu.detect(image)
        np.testing.assert_allclose(found.box, expected.box, atol=PIXELS)
        np.testing.assert_allclose(found.landmarks, expected.landmarks, atol=PIXELS)
        template = on_gpu.embed(image, [expected.landmarks])
        np.testing.assert_allclose(template, on_cpu.embed(image, [expected.landmarks]), atol=NUMBERS)
