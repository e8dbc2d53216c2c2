"""Blur, exposure and noise follow what is done to a real photo, and nothing else."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models import photometry
from models.pack import FaceModels

Image = NDArray[np.uint8]
Points = NDArray[np.float32]
Photo = tuple[Image, Points]

SIGMAS = (0.03, 0.05, 0.07, 0.1, 0.15)  # of the distance of the eyes
GAMMAS = (6.0, 4.0, 2.5, 1.6, 1.0, 0.7, 0.4, 0.15)
NOISES = (3.0, 6.0, 12.0, 25.0, 50.0)


@pytest.fixture(scope="module", params=["astronaut", "hopper"])
def photo(request: pytest.FixtureRequest, dlib: FaceModels) -> Photo:
    """A photo and the landmarks of its face."""
    image: Image = request.getfixturevalue(request.param)
    return image, dlib.detect(image)[0].landmarks


def measured(measure: Callable[[Image], float], photo: Photo, images: Sequence[Image]) -> list[float]:
    return [measure(photometry.chip(image, photo[1])) for image in images]


def blurred(image: Image, sigma: float) -> Image:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)


def brightened(image: Image, gamma: float) -> Image:
    return np.asarray(255 * (image / 255) ** gamma, np.uint8)


def noisy(image: Image, sigma: float) -> Image:
    noise = np.random.default_rng(7).normal(0, sigma, image.shape)
    return np.asarray(np.clip(image + noise, 0, 255), np.uint8)


def test_blur_grows_with_blurring(photo: Photo) -> None:
    eyes = float(np.linalg.norm(photo[1][1] - photo[1][0]))
    values = measured(photometry.blur, photo, [photo[0], *(blurred(photo[0], sigma * eyes) for sigma in SIGMAS)])
    assert values == sorted(set(values))
    assert values[0] < 0.25
    assert values[-1] > 0.75


def test_exposure_grows_with_brightness(photo: Photo) -> None:
    values = measured(photometry.exposure, photo, [brightened(photo[0], gamma) for gamma in GAMMAS])
    assert values == sorted(set(values))
    assert values[0] < 0.25 <= values[4] < 0.75 <= values[-1]


def test_exposure_grows_with_light(photo: Photo) -> None:
    factors = (0.05, 0.2, 0.5, 0.8, 1.0, 1.4, 2.0, 4.0)
    images = [np.asarray(np.clip(photo[0] * factor, 0, 255), np.uint8) for factor in factors]
    values = measured(photometry.exposure, photo, images)
    assert values == sorted(set(values))


def test_noise_grows_with_noise(photo: Photo) -> None:
    values = measured(photometry.noise, photo, [photo[0], *(noisy(photo[0], sigma) for sigma in NOISES)])
    assert values == sorted(set(values))
    assert values[0] < 0.3
    assert values[-1] > 0.4


def test_a_dark_face_is_not_a_blurred_one(photo: Photo) -> None:
    sharp, dark = measured(photometry.blur, photo, [photo[0], (photo[0] // 5).astype(np.uint8)])
    assert dark == pytest.approx(sharp, abs=0.12)


@pytest.mark.parametrize("scale", [2.0, 3.0])
@pytest.mark.parametrize("measure", [photometry.blur, photometry.exposure, photometry.noise])
def test_a_larger_image_of_the_same_face_measures_the_same(
    measure: Callable[[Image], float], photo: Photo, scale: float
) -> None:
    image, landmarks = photo
    larger = np.asarray(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC), np.uint8)
    points = ((landmarks + 0.5) * scale - 0.5).astype(np.float32)
    one, other = measure(photometry.chip(image, landmarks)), measure(photometry.chip(larger, points))
    assert other == pytest.approx(one, abs=0.1)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_chip_of_one_colour(level: int) -> None:
    flat = np.full((112, 112), level, np.uint8)
    assert photometry.blur(flat) == 1
    assert photometry.noise(flat) == 0
    assert photometry.exposure(flat) == pytest.approx(level / 255, abs=0.01)
