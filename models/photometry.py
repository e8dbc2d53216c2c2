"""What the pixels of a face say about the photo: how blurred, how lit, how noisy, each 0..1.

All is measured on the grey aligned chip, so a face of any size and tilt is judged on the same scale; one smaller than
the chip looks blurred there, and to a recogniser it is.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from models.align import ARCFACE, align

Chip = NDArray[np.uint8]

REBLUR = 11  # px of the mean filter, as Crete et al.
# What their measure gives for a chip: of 61 sharp photos 0.28..0.43; blurred with a sigma of 8 % of the distance of the
# eyes, which the recognisers hardly survive, 0.68..0.79.
SHARP, BLURRED = 0.3, 0.8
# Light is read off the inner face: beside it are background and, beyond the image's border, black.
INNER = (slice(20, 104), slice(18, 94))
# Mean luma to exposure: of 61 photos nine in ten lie at 117..182. Wide to the dark: well lit dark skin must not count
# as underexposed.
LUMA, EXPOSURE = (0.0, 50.0, 128.0, 210.0, 255.0), (0.0, 0.25, 0.5, 0.75, 1.0)
# Share of burnt out pixels to exposure: at most 0.01 in 19 of 20 photos; 0.3..0.85 with twice the light, which costs a
# quarter of the matches, although the mean of many such faces is still that of a fair face.
BURNT = 250
BURNT_SHARE, OVEREXPOSURE = (0.0, 0.25, 0.5, 1.0), (0.0, 0.75, 0.9, 1.0)
NOISE_KERNEL = np.array([(1, -2, 1), (-2, 4, -2), (1, -2, 1)], np.float64)  # Immerkaer's: flat for planes and edges
HALF_NOISE = 10.0  # grey levels of noise that are half of the scale
CALM = 75  # percent of the pixels, the calmest, from which noise is read
CALM_MEAN = 0.5146  # of |x| among those 75 %, for a normal distribution of standard deviation 1


def chip(image: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> Chip:
    """The grey face, uint8 [112, 112], with these landmarks, float32 [5, 2] px, of a uint8 [height, width, 3] image."""
    return np.asarray(cv2.cvtColor(align(image, landmarks, ARCFACE), cv2.COLOR_BGR2GRAY), np.uint8)


def blur(grey: Chip) -> float:
    """0 sharp .. 1 blurred: how little of the differences between neighbours another blur takes away.

    Crete et al., The Blur Effect, SPIE 2007, from 0.3 to 0.8. Unlike the variance of the Laplacian it does not take a
    dark face for a blurred one: contrast cancels out. A chip without any difference is blurred.
    """
    pixels = grey.astype(np.float32)
    effect = max(_blur_effect(pixels), _blur_effect(pixels.T))
    return float(np.interp(effect, (SHARP, BLURRED), (0.0, 1.0)))


def exposure(grey: Chip) -> float:
    """0 black .. 1 white: the mean luma of the inner face or, where that is more, the share of it that is burnt out.

    Both are bent so that photos of people as usual lie in 0.25..0.75.
    """
    inner = grey[INNER]
    mean, burnt = float(inner.mean()), float((inner >= BURNT).mean())
    return max(float(np.interp(mean, LUMA, EXPOSURE)), float(np.interp(burnt, BURNT_SHARE, OVEREXPOSURE)))


def noise(grey: Chip) -> float:
    """0 none .. 1: the noise's standard deviation s in grey levels, as s / (s + 10).

    Immerkaer's filter (CVIU 1996), which answers to neither planes nor straight edges, its mean trimmed of the quarter
    that answers most: hair, lashes and the corners of the mouth. What shrinking a large face averages away is not seen,
    by this measure as by a recogniser.
    """
    answer = np.abs(cv2.filter2D(grey.astype(np.float64), -1, NOISE_KERNEL)[1:-1, 1:-1])
    calm = answer[answer <= np.percentile(answer, CALM)]
    sigma = float(calm.mean()) / CALM_MEAN / float(np.linalg.norm(NOISE_KERNEL))
    return sigma / (sigma + HALF_NOISE)


def _blur_effect(pixels: NDArray[np.float32]) -> float:
    """Along the rows: the share of the differences that remains after blurring."""
    again = cv2.blur(pixels, (REBLUR, 1), borderType=cv2.BORDER_REFLECT)
    before, after = (np.abs(np.diff(each, axis=1)) for each in (pixels, again))
    whole = float(before.sum())
    return 1.0 - float(np.maximum(before - after, 0).sum()) / whole if whole > 0 else 1.0
