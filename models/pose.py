"""Estimates which way a head is turned from where its five landmarks lie."""

import cv2
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

# MediaPipe's canonical face model (Apache-2.0), cm: the eye as the middle of the corners 33 and 133, nose tip 1, corner
# of the mouth 61; the other side is its mirror image. Here x is right, y down, z away from the camera, as in OpenCV.
FACE = np.array(
    [
        (-3.151146, -2.624615, -3.465662),
        (3.151146, -2.624615, -3.465662),
        (0.0, 1.126865, -7.475604),
        (-2.456206, 4.342621, -4.283884),
        (2.456206, 4.342621, -4.283884),
    ]
)
CENTRED = FACE - FACE.mean(axis=0)
# A camera that looks at the middle of the face, some two metres away: where in the image the face lies, and which lens
# took it, is unknown after a crop and changes the angles by less than the landmarks' own errors.
DISTANCE = 20.0
CAMERA = np.array([(DISTANCE, 0, 0), (0, DISTANCE, 0), (0, 0, 1)], np.float64)
# From OpenCV's axes to the Face service's: x to the left of the image, y up, z away.
AXES = np.array([-1.0, -1.0, 1.0])


class HeadPose(Struct, frozen=True):
    """Degrees, -180..180, in the Face service's convention: first roll, then yaw, then pitch, each right-handed.

    pitch > 0 looks up; yaw > 0 looks to the right of the image, the person's left; roll > 0 leans clockwise in the
    image, as Microsoft's own samples draw it. Of 61 portraits, most of them frontal, the medians are roll 0, yaw -1 and
    pitch -9 degrees: how long and high a nose is differs between people, so pitch is the least sure of the three. No
    angle is better than its landmarks: of a photo turned by 15 degrees YuNet-n's turn by 10 to 25.
    """

    pitch: float
    roll: float
    yaw: float


def head_pose(landmarks: NDArray[np.float32]) -> HeadPose:
    """The pose of a face with these landmarks, float32 [5, 2] px, all of them seen (see models.landmarks).

    Perspective-n-point with a mean face: Terzakis and Lourakis, ECCV 2020 (SQPnP). Raises ValueError where the
    landmarks all lie on one point.
    """
    points = landmarks.astype(np.float64)
    points -= points.mean(axis=0)
    extent = float(np.linalg.norm(points))
    if extent == 0:
        raise ValueError("the landmarks all lie on one point")
    _, rotation, _ = cv2.solvePnP(CENTRED, points / extent, CAMERA, None, flags=cv2.SOLVEPNP_SQPNP)
    roll, yaw, pitch = Rotation.from_rotvec(rotation.ravel() * AXES).as_euler("ZYX", degrees=True)
    return HeadPose(float(pitch), float(roll), float(yaw))
