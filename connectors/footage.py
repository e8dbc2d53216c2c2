"""Makes video clips with known people at known times from still photos: for the demo, tests and benchmarks.

Every scene cuts hard to the next, so its place in the clip is exactly the sum of the durations before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Codec = Literal["libx264", "libx265"]

EILEEN_COLLINS = "Eileen Collins"
GRACE_HOPPER = "Grace Hopper"
# Works of the United States government, public domain: NASA; James S. Davis, US Navy.
_PORTRAITS = {
    EILEEN_COLLINS: ("skimage", "data/astronaut.png"),
    GRACE_HOPPER: ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"),
}
_ENCODER = {"preset": "veryfast", "crf": "20", "bf": "0"}
_QUIET = {"libx265": {"x265-params": "log-level=none:bframes=0"}}  # x265 writes to standard error by itself
_STILL_HEIGHT = 768
_WALL = ((96, 92, 88), (150, 146, 140))  # BGR of the plain background, top and bottom


@dataclass(frozen=True, slots=True)
class View:
    """Where a photo stands: its centre as fractions of the picture, its height as a fraction of the picture's height.

    Parts outside of the picture are cut off, so a height above 1 is a close-up.
    """

    x: float = 0.5
    y: float = 0.5
    height: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """A photo (HxWx3, uint8, BGR) that glides from one view to another in the course of its scene."""

    image: Image
    start: View = View()
    end: View | None = None

    def view(self, progress: float) -> View:
        """The view at a progress of 0..1 through the scene."""
        a, b = self.start, self.end or self.start
        return View(*(p + (q - p) * progress for p, q in ((a.x, b.x), (a.y, b.y), (a.height, b.height))))


@dataclass(frozen=True, slots=True)
class Scene:
    """A stretch of the clip: who is seen, for how many seconds. Later faces stand in front of earlier ones."""

    duration: float
    faces: tuple[Placement, ...] = ()


def make_clip(
    path: Path, scenes: Sequence[Scene], *, size: tuple[int, int] = (640, 360), fps: int = 15, codec: Codec = "libx264"
) -> None:
    """Write the scenes as one video without sound (MP4, MKV, ... by the suffix); the same input gives the same bytes.

    `size` is (width, height) in pixels, both even. `codec` is libx264 or libx265. A key frame comes every second, no
    B-frames, as in cameras. ValueError when a size is odd or there is nothing to show.
    """
    width, height = size
    if width % 2 or height % 2:
        raise ValueError(f"a clip of {width}x{height} cannot be encoded: give an even width and height")
    if not any(round(scene.duration * fps) for scene in scenes):
        raise ValueError(f"a clip of {len(scenes)} scenes has no frame at {fps} fps: give a scene of a second or more")
    # bitexact leaves out the encoder's version and the date, which would make each clip a different file.
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(codec, rate=fps, options=_ENCODER | {"g": str(fps)} | _QUIET.get(codec, {}))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1
        for image in draw(scenes, size, fps):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "bgr24")))
        container.mux(stream.encode(None))


def draw(scenes: Sequence[Scene], size: tuple[int, int], fps: int) -> Iterator[Image]:
    """The frames of the scenes, HxWx3 uint8 BGR."""
    wall = _wall(size)
    for scene in scenes:
        count = round(scene.duration * fps)
        for index in range(count):
            picture = wall.copy()
            for face in scene.faces:
                _place(picture, face.image, face.view(index / max(1, count - 1)))
            yield picture


def write_stills(folder: Path) -> dict[str, Path]:
    """The two portraits as photos in `folder`, by name, enlarged to a height of 768 pixels.

    As its package has it, one face is 91 pixels wide, and the stricter recognisers want more than that.
    """
    written = {}
    for name, image in portraits().items():
        scale = _STILL_HEIGHT / image.shape[0]
        written[name] = folder / f"{name}.png"
        cv2.imwrite(str(written[name]), cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC))
    return written


def portraits() -> dict[str, Image]:
    """The two public-domain portraits that scikit-image and matplotlib carry, by name; HxWx3 uint8 BGR.

    ModuleNotFoundError when the extra "demo" is not installed.
    """
    return {name: _portrait(package, file) for name, (package, file) in _PORTRAITS.items()}


def story(people: Mapping[str, Image]) -> tuple[Scene, ...]:
    """The demo's 24 seconds, of the two portraits: pan, zoom, cuts, each alone, both at once, nobody.

    At 640x360 and more, every face is at least 110 pixels high.
    """
    collins, hopper = people[EILEEN_COLLINS], people[GRACE_HOPPER]
    left, right = View(0.27, 0.66, 1.5), View(0.76, 0.62, 1.15)
    return (
        Scene(5.0, (Placement(collins, View(0.35, 0.75, 1.6), View(0.6, 0.75, 1.6)),)),
        Scene(5.0, (Placement(hopper, View(0.5, 0.55, 1.0), View(0.5, 0.75, 1.5)),)),
        Scene(2.0),
        Scene(6.0, (Placement(collins, left), Placement(hopper, right, View(0.70, 0.62, 1.15)))),
        Scene(2.0),
        Scene(4.0, (Placement(collins, View(0.5, 0.85, 1.9), View(0.5, 0.75, 1.6)),)),
    )


def _portrait(package: str, file: str) -> Image:
    # find_spec does not run the package: importing matplotlib only to learn its folder takes a second.
    spec = find_spec(package)
    folders = () if spec is None else spec.submodule_search_locations or ()
    image = next((image for folder in folders if (image := cv2.imread(str(Path(folder) / file))) is not None), None)
    if image is None:
        raise ModuleNotFoundError(
            f'{package}, which carries a portrait of the demo, is missing: pip install "faceline[demo]"'
        )
    return image.astype(np.uint8, copy=False)


def _wall(size: tuple[int, int]) -> Image:
    width, height = size
    slope = np.linspace(_WALL[0], _WALL[1], height).round().astype(np.uint8)
    return np.repeat(slope[:, None, :], width, axis=1)


def _place(picture: Image, image: Image, view: View) -> None:
    height, width = picture.shape[:2]
    scale = view.height * height / image.shape[0]
    # Sub-pixel shifts keep a slow pan smooth; shrinking by warpAffine alone would alias, so that is done before it.
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        scale = 1.0
    left = view.x * width - scale * image.shape[1] / 2
    top = view.y * height - scale * image.shape[0] / 2
    matrix = np.array([[scale, 0, left], [0, scale, top]])
    cv2.warpAffine(
        image, matrix, (width, height), dst=picture, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT
    )
