"""Keeps only the freshest picture of a live camera.

Over TCP a camera that is read too slowly falls behind without bound, so a thread of its own reads and decodes as fast
as frames come, whatever the consumer does.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager

from connectors.source import VideoEnded
from connectors.video import Picture, VideoSource


class Latest(AbstractContextManager["Latest"]):
    """One slot that a new picture overwrites. Owns the source from now on: closing this closes that.

    Overwritten pictures are counted in `dropped`; their numbers are missing in `Picture.sequence`.
    """

    def __init__(self, source: VideoSource, fps: float) -> None:
        self._source = source
        self._changed = threading.Condition()
        self._picture: Picture | None = None
        self._end: Exception | None = None
        self._dropped = 0
        self._thread = threading.Thread(
            target=self._read, args=(source.pictures(fps),), name=f"camera {source.source.label}", daemon=True
        )
        self._thread.start()

    def __exit__(self, *fault: object) -> None:
        self.close()

    @property
    def dropped(self) -> int:
        """Sampled pictures nobody took in time."""
        with self._changed:
            return self._dropped

    def take(self, timeout: float) -> Picture:
        """The freshest picture not taken yet; waits up to `timeout` seconds, then TimeoutError.

        When the last picture is taken, raises what ended the source: VideoEnded, CameraLost, VideoRefused.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._picture is not None or self._end is not None, timeout):
                raise TimeoutError(f"no picture from {self._source.source.label} within {timeout:g} s")
            if self._picture is None:
                raise self._end or VideoEnded()
            picture, self._picture = self._picture, None
            return picture

    def close(self) -> None:
        """End the thread (it may be reading: this lasts up to the read timeout) and the connection."""
        self._source.stop()
        self._thread.join()

    def _read(self, pictures: Iterator[Picture]) -> None:
        end: Exception = VideoEnded(f"video file '{self._source.source.label}' reached its end")
        try:
            for picture in pictures:
                self._put(picture)
        except Exception as error:  # every fault belongs to the consumer: in a thread nobody would see it
            end = error
        finally:
            self._source.close()
        with self._changed:
            self._end = end
            self._changed.notify_all()

    def _put(self, picture: Picture) -> None:
        with self._changed:
            self._dropped += self._picture is not None
            self._picture = picture
            self._changed.notify_all()
