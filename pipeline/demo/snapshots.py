"""Pictures for the contact sheet: opened from the sealed `frames` while those live, and held in memory alone."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from pipeline.changes import Put
from pipeline.codec import Received
from pipeline.demo.screen import Passage
from pipeline.records import Box, Face, Frame, FrameId

RECENT_FRAMES = 150  # half a minute at 5 fps: a best shot is told within a second
RECENT_FACES = 300
PICTURES = 60  # of one chapter, a megabyte each at worst
ACROSS = 4

Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Mark:
    """A face on a picture: where, who, how alike."""

    track: str
    box: Box
    label: str
    likeness: str
    known: bool


@dataclass(slots=True)
class Snapshot:
    """One frame as JPEG, with the faces whose best shot it was."""

    taken_at: datetime
    jpeg: bytes
    marks: dict[str, Mark] = field(default_factory=dict)


@dataclass(slots=True)
class Chapter:
    """A part of the story, from a moment on."""

    title: str
    since: datetime
    snapshots: OrderedDict[FrameId, Snapshot] = field(default_factory=OrderedDict)


class Snapshots:
    """Collects a picture for every identification of the chapter; `open_frame` is None once a frame's key is gone."""

    def __init__(self, open_frame: Callable[[Frame], bytes | None]) -> None:
        self.chapters: list[Chapter] = []
        self._over = False
        self._open = open_frame
        self._frames: OrderedDict[FrameId, Frame] = OrderedDict()
        self._faces: OrderedDict[str, Face] = OrderedDict()

    def begin(self, title: str, now: datetime) -> None:
        """From now on, pictures belong to a new chapter."""
        self.chapters.append(Chapter(title, now))

    def end(self) -> None:
        """No more pictures; forget the frames."""
        self._over = True
        self._frames.clear()
        self._faces.clear()

    def take(self, received: Received) -> None:
        """Keep the newest frames, sealed as they are, and the newest faces."""
        match received.change:
            case Put() if self._over:
                pass
            case Put(value=Frame() as frame):
                _keep(self._frames, frame.id, frame, RECENT_FRAMES)
            case Put(value=Face() as face):
                _keep(self._faces, face.face_id, face, RECENT_FACES)
            case _:
                pass

    def mark(self, passage: Passage) -> None:
        """Open the frame of an identification's best shot, where it belongs to the chapter."""
        if passage.person is not None and passage.name is None:
            return  # the key was destroyed on the way here: it is nobody's picture
        face = self._faces.get(passage.face)
        frame = None if face is None or face.shot is None else self._frames.get(face.shot.frame)
        chapter = self.chapters[-1] if self.chapters else None
        if chapter is None or face is None or frame is None or passage.captured_at < chapter.since:
            return
        if frame.id not in chapter.snapshots:
            jpeg = self._open(frame)
            if jpeg is None:
                return
            _keep(chapter.snapshots, frame.id, Snapshot(frame.captured_at, jpeg), PICTURES)
        mark = Mark(passage.track, face.box, passage.label, passage.likeness, passage.person is not None)
        chapter.snapshots[frame.id].marks[passage.track] = mark


def chosen(snapshots: Iterable[Snapshot], count: int = ACROSS) -> list[Snapshot]:
    """The pictures that tell most: many faces first, then new constellations, no track twice; in order of time."""
    found: list[Snapshot] = []
    for each in _by_worth(list(snapshots)):
        if len(found) == count:
            break
        if not any(each.marks.keys() & other.marks.keys() for other in found):
            found.append(each)
    return sorted(found, key=lambda each: each.taken_at)


def _by_worth(snapshots: list[Snapshot]) -> Iterator[Snapshot]:
    # Of equals the newest: it shows the best shot of its track.
    ranked = sorted(snapshots, key=lambda each: (len(each.marks), each.taken_at), reverse=True)
    seen: set[frozenset[str]] = set()
    again = []
    for each in ranked:
        labels = frozenset(mark.label for mark in each.marks.values())
        if labels in seen:
            again.append(each)
        else:
            seen.add(labels)
            yield each
    yield from again


def _keep(kept: "OrderedDict[Key, Value]", key: Key, value: Value, count: int) -> None:
    kept[key] = value
    while len(kept) > count:
        kept.popitem(last=False)
