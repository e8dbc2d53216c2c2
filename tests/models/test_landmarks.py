"""Only landmarks that a detector sees have a name."""

import numpy as np
import pytest

from models.catalogue import load_catalogue
from models.landmarks import named, seen

POINTS = np.arange(10, dtype=np.float32).reshape(5, 2)


@pytest.mark.parametrize("pack", ["retail", "opencv", "buffalo_l"])
def test_a_five_point_detector_sees_five(pack: str) -> None:
    assert named(POINTS, load_catalogue().pack(pack)) == {
        "pupilLeft": (0, 1),
        "pupilRight": (2, 3),
        "noseTip": (4, 5),
        "mouthLeft": (6, 7),
        "mouthRight": (8, 9),
    }


def test_dlib_sees_no_mouth_and_of_the_nose_only_its_base() -> None:
    pack = load_catalogue().pack("dlib")
    assert seen(pack) == ("pupilLeft", "pupilRight")
    assert named(POINTS, pack) == {"pupilLeft": (0, 1), "pupilRight": (2, 3)}
