"""A camera's table in the settings file: where its pictures come from, and what is asked of the faces in them."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from pipeline.records import Watch
from pipeline.settings.tables import DAY, FilePath, Seconds, Table

KINDS = ("largepersongroup", "persongroup")


class Camera(Table):
    """One camera: a stream, a file or a device, and what its owner wants of the faces in it."""

    name: str = Field(pattern=r"^[a-z0-9-]{1,63}$", description="a-z, 0-9 and -", examples=["door"])
    # An address may carry a password: it stays out of every text that somebody may read.
    url: str | None = Field(
        default=None, repr=False, min_length=1, description="its address", examples=["rtsp://camera.local/stream"]
    )
    file: FilePath | None = Field(default=None, description="instead of url: a video file", examples=["clip.mp4"])
    device: str | None = Field(
        default=None, min_length=1, description="instead of url: a webcam", examples=["/dev/video0"]
    )
    fps: float = Field(default=5.0, ge=0.1, le=60, description="frames per second to look at")
    policy: Literal["latest", "all"] = Field(
        default="latest", description="when we are too slow: skip (latest) or wait (all; a file's default)"
    )
    collections: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        default=("largepersongroup/people",),
        min_length=1,
        description="galleries to search, kind/id or the id of a largepersongroup",
    )
    threshold: Annotated[float, Field(ge=-1, le=1)] | None = Field(
        default=None,
        description="similarity from which somebody is named here, instead of the model's own",
        examples=[0.5],
    )
    face_ttl: Seconds = Field(default=600, ge=60, le=DAY, description='seconds a faceId lives at most, or "10m"')
    loop: bool = Field(default=False, description="true starts a file again at its end")

    @model_validator(mode="before")
    @classmethod
    def _a_file_waits(cls, given: Any) -> Any:
        if isinstance(given, dict) and "file" in given:
            return {"policy": "all", **given}
        return given

    @field_validator("collections", mode="after")
    @classmethod
    def _spelled_out(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        full = tuple(name if "/" in name else f"largepersongroup/{name}" for name in given)
        for name in full:
            kind, _, identifier = name.partition("/")
            if kind not in KINDS or re.fullmatch(r"[a-z0-9_-]{1,64}", identifier) is None:
                raise ValueError(f"{name!r} is no gallery; write kind/id with a kind of {', '.join(KINDS)}")
        return full

    @model_validator(mode="after")
    def _one_source(self) -> "Camera":
        if sum(source is not None for source in (self.url, self.file, self.device)) != 1:
            raise ValueError("needs exactly one of url, file and device")
        if self.loop and self.file is None:
            raise ValueError("loop is for a file; take it out")
        return self

    def source(self) -> str:
        """The raw address, path or device: for the capture process alone, as it may carry a password."""
        return next(str(source) for source in (self.url, self.file, self.device) if source is not None)

    def watch(self) -> Watch:
        """What its frames ask of the stages behind."""
        return Watch(collections=self.collections, threshold=self.threshold, face_ttl=self.face_ttl)
