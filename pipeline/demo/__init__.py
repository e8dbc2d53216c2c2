"""The demo: a whole deployment on this machine plays one story, from a camera to a name, and back to forgotten."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.operations.album import Wanted


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be played: who is enrolled (the first alone, the others later), what is seen, with which models.

    `video` is a file, a device or an RTSP address; None is the sample footage, which brings its own people.
    """

    people: tuple[Wanted, ...] = ()
    video: str | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    sheet: Path = Path("faceline-demo.png")
    keep: bool = False

    @property
    def sample(self) -> bool:
        """Whether it is the sample footage: then who does not appear is a fault, not a matter of luck."""
        return self.video is None
