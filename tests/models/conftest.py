"""Packs made once per test run, and two photos that installed packages bring along."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.catalogue import Pack, load_catalogue
from models.image import decode
from models.pack import FaceModels, load
from models.store import ModelStore


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    return ModelStore(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def dlib_pack() -> Pack:
    return load_catalogue().pack("dlib")


@pytest.fixture(scope="session")
def retail_pack() -> Pack:
    return load_catalogue().pack("retail")


@pytest.fixture(scope="session")
def dlib(store: ModelStore, dlib_pack: Pack) -> FaceModels:
    return load(dlib_pack, store.ensure(dlib_pack))


@pytest.fixture(scope="session")
def retail(store: ModelStore, retail_pack: Pack, shared: Path) -> FaceModels:
    return load(retail_pack, store.ensure(retail_pack, source=shared / "models"))


@pytest.fixture(scope="session")
def astronaut() -> NDArray[np.uint8]:
    """Eileen Collins, 512 x 512, a frontal face of some 100 px (NASA, public domain)."""
    return installed_photo("skimage", "data/astronaut.png")


@pytest.fixture(scope="session")
def hopper() -> NDArray[np.uint8]:
    """Grace Hopper, 512 x 600, a frontal face of some 200 px (US Navy, public domain)."""
    return installed_photo("matplotlib", "mpl-data/sample_data/grace_hopper.jpg")


def installed_photo(package: str, path: str) -> NDArray[np.uint8]:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        pytest.skip(f"{package}, which brings the photo, is not installed")
    return decode((Path(spec.submodule_search_locations[0]) / path).read_bytes())
