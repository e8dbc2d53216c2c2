"""Tracks of one camera: which sightings are one passage of one person, and which of them is the best shot."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.records import Box, FrameId, Sealed

Vector = NDArray[np.float32]
Thumbnail = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Sighting:
    """One face in one frame, measured: the ids it would get, its template in the clear (dimension,) and sealed."""

    face_id: str
    track_id: str
    box: Box
    landmarks: tuple[tuple[float, float], ...]
    quality: float
    vector: Vector
    template: Sealed
    frame: FrameId
    captured_at: datetime
    expires: datetime


@dataclass(frozen=True, slots=True)
class Track:
    """An open passage. `published` is the quality of the shot that was published last, None before the first."""

    track_id: str
    latest: Sighting
    best: Sighting
    sightings: int = 1
    revision: int = -1
    published: float | None = None


class Continuity(Protocol):
    """What tells one passage from another (models/tracker.py)."""

    def pair(self, before: Sequence[Box], now: Sequence[Box]) -> Sequence[tuple[int, int]]:
        """Which boxes of two consecutive frames overlap enough to be one face."""
        ...

    def is_cut(self, before: Thumbnail, now: Thumbnail) -> bool:
        """Whether two consecutive pictures belong to different scenes."""
        ...

    def is_jump(self, before: Vector, now: Vector) -> bool:
        """Whether two templates are too far apart for one person."""
        ...


@dataclass(frozen=True, slots=True)
class TrackPolicy:
    """When a track is confirmed, when it is over, and by which share a shot must be better to be published."""

    confirm_after: int = 2
    gap: timedelta = timedelta(seconds=1)
    better_by: float = 0.15


def advance(
    tracks: Sequence[Track],
    sightings: Sequence[Sighting],
    now: datetime,
    *,
    cut: bool,
    continuity: Continuity,
    policy: TrackPolicy,
) -> tuple[tuple[Track, ...], list[Track]]:
    """The tracks after a frame captured at `now`, and those of them whose best shot is to be published.

    A hard cut ends every track, because the next person may stand where the last one stood; so does a template
    that jumps. A track may be split by this, two persons are never joined.
    """
    open_tracks = [] if cut else [track for track in tracks if now - track.latest.captured_at <= policy.gap]
    pairs = continuity.pair([track.latest.box for track in open_tracks], [each.box for each in sightings])
    kept = {
        new: open_tracks[old]
        for old, new in pairs
        if not continuity.is_jump(open_tracks[old].latest.vector, sightings[new].vector)
    }
    ended = {old for old, new in pairs if new not in kept}
    continued = {track.track_id for track in kept.values()}
    after = [track for index, track in enumerate(open_tracks) if track.track_id not in continued and index not in ended]
    due = []
    for index, sighting in enumerate(sightings):
        track = _seen(kept.get(index), sighting)
        if _is_due(track, policy):
            track = replace(track, revision=track.revision + 1, published=track.best.quality)
            due.append(track)
        after.append(track)
    return tuple(after), due


def _seen(track: Track | None, sighting: Sighting) -> Track:
    if track is None:
        return Track(sighting.track_id, sighting, sighting)
    best = sighting if sighting.quality > track.best.quality else track.best
    return replace(track, latest=sighting, best=best, sightings=track.sightings + 1)


def _is_due(track: Track, policy: TrackPolicy) -> bool:
    if track.published is None:
        return track.sightings >= policy.confirm_after
    return track.best.quality > track.published * (1 + policy.better_by)
