"""Brings NVIDIA's libraries to onnxruntime, and names the one that is missing."""

import ctypes
from collections.abc import Iterable
from contextlib import redirect_stdout
from io import StringIO

import onnxruntime  # type: ignore[import-untyped]

from models import ModelError

DRIVER = "libcuda.so.1"
# What libonnxruntime_providers_cuda.so 1.31 is linked to (its NEEDED entries), and cuDNN, which it opens by itself.
LIBRARIES = ("libcudart.so.13", "libcublasLt.so.13", "libcublas.so.13", "libcurand.so.10", "libcudnn.so.9")


def load_cuda() -> None:
    """Loads CUDA's libraries into this process, the extra's where they are installed, else the system's.

    Raises ModelError where this onnxruntime is built without CUDA, and where the driver or a library is missing.
    """
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise ModelError(
            "the provider cuda was asked for, but the installed onnxruntime is built for the CPU: "
            "install the extra faceline[gpu] instead of faceline[cpu], or set the provider to cpu"
        )
    with redirect_stdout(StringIO()):  # it prints what it misses, in the midst of what a command has to say
        onnxruntime.preload_dlls()  # the extra's libraries lie in site-packages, where no loader looks
    require((DRIVER,), "install NVIDIA's driver for CUDA 13 (580 or newer)")
    require(LIBRARIES, "install the extra faceline[gpu], or CUDA 13 and cuDNN 9")


def require(libraries: Iterable[str], cure: str) -> None:
    """Raises ModelError, with the cure, for the first library that the loader does not find."""
    for library in libraries:
        try:
            ctypes.CDLL(library)
        except OSError as error:
            raise ModelError(
                f"the provider cuda was asked for, but {library} cannot be loaded ({_reason(library, error)}): "
                f"{cure}, or set the provider to cpu"
            ) from error


def _reason(library: str, error: OSError) -> str:
    return str(error).removeprefix(f"{library}: ")
