"""What may be compared with what."""

from typing import Final, Literal

import msgspec

# The Face API's names. An operator maps each to a model pack; templates under different names never meet.
RecognitionModel = Literal["recognition_01", "recognition_02", "recognition_03", "recognition_04"]
# What cameras and the command line write.
DEFAULT_RECOGNITION: Final[RecognitionModel] = "recognition_04"


class Recognition(msgspec.Struct, frozen=True, array_like=True):
    """Which templates may be compared: those of the same model pack, under the same name."""

    pack: str
    name: RecognitionModel = DEFAULT_RECOGNITION
