"""When a face ends; which data key seals what, and when it dies (the key hierarchy's expiring half).

Faces share the key of a 10 s expiry bucket, frames that of their camera and 30 s window: so a key is destroyed
with one small write, whatever number of records it sealed.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

FACE_BUCKET_S = 10
FRAME_WINDOW_S = 30
FRAME_KEY_LIFE_S = 120
# How far two clocks of a deployment may be apart, the broker's among them: what its hosts' NTP has to keep to.
SKEW = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class KeyName:
    """The name under which every process finds the same key, and the time of its destruction."""

    name: str
    expires: datetime


def face_end(issued_at: datetime, seconds: int) -> datetime:
    """When a face ends that was asked to live so long: sooner by `SKEW`, so that it is no later by any clock."""
    return issued_at + timedelta(seconds=seconds) - SKEW


def face_key(expires: datetime) -> KeyName:
    """The key of a face that expires at `expires`: its bucket ends then or up to 10 s later."""
    end = math.ceil(expires.timestamp() / FACE_BUCKET_S) * FACE_BUCKET_S
    return KeyName(f"faces/{end}", datetime.fromtimestamp(end, UTC))


def frame_key(camera: str, sealed_at: datetime) -> KeyName:
    """The key of the frames that `camera` seals in one 30 s window; it lives 120 s past the window."""
    start = math.floor(sealed_at.timestamp() / FRAME_WINDOW_S) * FRAME_WINDOW_S
    end = datetime.fromtimestamp(start, UTC) + timedelta(seconds=FRAME_WINDOW_S + FRAME_KEY_LIFE_S)
    return KeyName(f"frames/{camera}/{start}", end)
