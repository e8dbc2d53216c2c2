"""What a user would write without Faceline: the same work in a plain loop, to compare with."""

import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from connectors.video import VideoSource
from pipeline.wiring.asking import ModelPortraitist

QUALITY = 85  # of a JPEG, as capture makes them; 2 is the same to ffmpeg's own encoder


def jpegs(clip: Path, fps: float) -> list[bytes]:
    """The sampled frames of a clip, as capture would publish them."""
    with VideoSource(str(clip)) as source:
        return [picture.jpeg(QUALITY) for picture in source.pictures(fps)]


def cpu_per_frame(models: ModelPortraitist, frames: Sequence[bytes]) -> float:
    """Processor seconds of decode, detection and embedding of a JPEG; nothing else of this process may run."""
    began = time.process_time()
    for jpeg in frames:
        _embedded(models, models.decode(jpeg))
    return (time.process_time() - began) / len(frames)


def watched_per_second(models: ModelPortraitist, clip: Path, gallery: NDArray[np.float32]) -> float:
    """Frames per second of a script that looks at each frame and compares each face with the gallery (n, dimension)."""
    began, count = time.perf_counter(), 0
    with av.open(str(clip)) as container:
        for frame in container.decode(video=0):
            for template in _embedded(models, np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)):
                np.argmax(gallery @ template)
            count += 1
    return count / (time.perf_counter() - began)


def captured_per_second(clip: Path, every: int) -> float:
    """Frames per second of a script that decodes a clip and makes each `every`th frame a JPEG."""
    began, count = time.perf_counter(), 0
    with av.open(str(clip)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for count, frame in enumerate(container.decode(video=0), start=1):
            if count % every == 1:
                cv2.imencode(".jpg", frame.to_ndarray(format="bgr24"), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return count / (time.perf_counter() - began)


def ffmpeg_per_second(clip: Path, fps: float, frames: int, folder: Path) -> float | None:
    """Frames per second of the ffmpeg command at the same work, writing to files; None where it is not installed."""
    program = shutil.which("ffmpeg")
    if program is None:
        return None
    began = time.perf_counter()
    work = [program, "-v", "error", "-i", str(clip), "-r", str(fps), "-q:v", "2", str(folder / "%06d.jpg")]
    subprocess.run(work, check=True, stdin=subprocess.DEVNULL)  # noqa: S603 - the arguments are our own
    return frames / (time.perf_counter() - began)


def _embedded(models: ModelPortraitist, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    found = [face for face in models.models.detect(image) if min(face.box[2:]) >= models.minimum_face]
    return models.models.embed(image, [face.landmarks for face in found])
