"""What every record is made of."""

from datetime import datetime
from typing import Annotated

import msgspec

# A naive time would be read, and then compared with no other: it is refused at the door.
Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A value of a topic; unknown fields of a same-version writer are ignored, missing ones are refused."""


class Sealed(msgspec.Struct, frozen=True, array_like=True):
    """AES-256-GCM ciphertext under the data key `kid`, bound to the place where it stands (see `codec.associated`)."""

    kid: str
    nonce: bytes
    ciphertext: bytes


class Box(msgspec.Struct, frozen=True, array_like=True):
    """A face rectangle in pixels of its frame."""

    left: int
    top: int
    width: int
    height: int


class FrameId(msgspec.Struct, frozen=True, array_like=True, order=True):
    """One sampled frame: the camera, the capture session (a UUID per connection) and the number within the session."""

    camera: Annotated[str, msgspec.Meta(max_length=63)]
    session: Annotated[str, msgspec.Meta(max_length=36)]
    sequence: Annotated[int, msgspec.Meta(ge=0)]
