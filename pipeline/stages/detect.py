"""Frames in, faces out: find the faces of a frame, keep the tracks of its camera, publish best shots."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.changes import Put
from pipeline.codec import Received, Unusable
from pipeline.ranges import Ranges, add
from pipeline.records import Face, Frame, FrameId, Gap, Ledger, Recognition, Shot
from pipeline.stages.contract import Emit, Output
from pipeline.stages.tracks import Continuity, Sighting, Thumbnail, Track, TrackPolicy, advance
from pipeline.topology import DETECT, FACES, GAPS, LEDGER, Node

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Seen:
    """A frame after the models have looked at it."""

    frame: Frame
    thumbnail: Thumbnail
    sightings: tuple[Sighting, ...]


class Eye(Protocol):
    """Opens, decodes and measures a frame; raises UnseeableError where that can never succeed."""

    @property
    def recognition(self) -> Recognition:
        """What its templates may be compared with, for the record."""
        ...

    def look(self, frame: Frame, appended_at: datetime) -> Seen: ...


class UnseeableError(Exception):
    """This frame's image can never be measured; the text says why."""


@dataclass(frozen=True, slots=True)
class CameraState:
    """One camera's session: how far it was read, which numbers were processed, and its open tracks."""

    session: str
    last: int = -1
    processed: Ranges = ()
    thumbnail: Thumbnail | None = None
    tracks: tuple[Track, ...] = field(default=())


# By camera, the newest session last.
State = dict[str, tuple[CameraState, ...]]

# A crash may take detect back over a reconnection: that many sessions of a camera are known beside its newest.
EARLIER_SESSIONS = 3


@dataclass(frozen=True, slots=True)
class Detect:
    """The open tracks may be lost by a crash: that can split a passage into two tracks, never join two persons."""

    eye: Eye
    continuity: Continuity
    policy: TrackPolicy
    batch: int = 8

    @property
    def node(self) -> Node:
        return DETECT

    def begin(self) -> State:
        return {}

    def replay(self, state: State, received: Received) -> State:
        if isinstance(received.change, Put) and received.change.value.stage == "detect":
            told: Ledger = received.change.value
            last = max((end for _, end in told.processed), default=-1)
            after = CameraState(told.session, last, told.processed)
            state[told.camera] = _with(state.get(told.camera, ()), after)
        return state

    def prepare(self, inputs: Sequence[Received]) -> list[Seen | Unusable]:
        prepared: list[Seen | Unusable] = []
        for received in inputs:
            if not isinstance(received.change, Put):
                continue
            frame: Frame = received.change.value
            try:
                prepared.append(self.eye.look(frame, received.appended_at))
            except UnseeableError as error:
                prepared.append(
                    Unusable(received.topic, received.partition, received.offset, str(error), frame=frame.id)
                )
        return prepared

    def step(
        self, state: State, prepared: Sequence[Seen | Unusable], now: datetime
    ) -> tuple[State, list[Output | Unusable]]:
        state = dict(state)
        outputs: list[Output | Unusable] = []
        touched: dict[tuple[str, str], CameraState] = {}
        for each in prepared:
            match each:
                case Unusable():
                    outputs.append(each)
                    if each.frame is not None:
                        _pass_over(state, each.frame)
                case Seen(frame=frame):
                    before = _session(state, frame.id)
                    outputs += _missing(before, frame)
                    after, faces = self._watch(before, each)
                    outputs += faces
                    state[frame.id.camera] = _with(state.get(frame.id.camera, ()), after)
                    touched[frame.id.camera, frame.id.session] = after
        outputs += [_ledger(camera, after) for (camera, _), after in touched.items()]
        return state, outputs

    def _watch(self, before: CameraState, seen: Seen) -> tuple[CameraState, list[Output]]:
        frame = seen.frame
        tracks, due = advance(
            before.tracks,
            seen.sightings,
            frame.captured_at,
            cut=before.thumbnail is not None and self.continuity.is_cut(before.thumbnail, seen.thumbnail),
            continuity=self.continuity,
            policy=self.policy,
        )
        sequence = frame.id.sequence
        after = replace(
            before,
            last=max(before.last, sequence),
            processed=add(before.processed, sequence),
            thumbnail=seen.thumbnail,
            tracks=tracks,
        )
        return after, [Emit(FACES, Put(track.best.face_id, self._face(track, frame))) for track in due]

    def _face(self, track: Track, frame: Frame) -> Face:
        best = track.best
        return Face(
            face_id=best.face_id,
            expires=best.expires,
            captured_at=best.captured_at,
            recognition=self.eye.recognition,
            template=best.template,
            box=best.box,
            landmarks=best.landmarks,
            quality=best.quality,
            shot=Shot(frame=best.frame, track_id=track.track_id, revision=track.revision, watch=frame.watch),
        )


def _session(state: State, frame: FrameId) -> CameraState:
    known = (each for each in state.get(frame.camera, ()) if each.session == frame.session)
    return next(known, CameraState(frame.session))


def _pass_over(state: State, frame: FrameId) -> None:
    """A frame that is a dead letter is accounted for, and no gap."""
    before = _session(state, frame)
    if frame.sequence == before.last + 1:
        state[frame.camera] = _with(state.get(frame.camera, ()), replace(before, last=frame.sequence))


def _with(sessions: tuple[CameraState, ...], newest: CameraState) -> tuple[CameraState, ...]:
    others = [each for each in sessions if each.session != newest.session]
    return (*others[-EARLIER_SESSIONS:], newest)


def _missing(before: CameraState, frame: Frame) -> list[Output]:
    """The hole between the last frame read and the one that capture published before this: retention took it."""
    if frame.previous <= before.last:
        return []
    gap = Gap(
        camera=frame.id.camera,
        session=frame.id.session,
        first=before.last + 1,
        last=frame.previous,
        reason="not in frames when detect came to it",
    )
    return [Emit(GAPS, Put(frame.id.camera, gap))]


def _ledger(camera: str, state: CameraState) -> Output:
    ledger = Ledger(camera=camera, session=state.session, stage="detect", processed=state.processed)
    return Emit(LEDGER, Put(f"{camera}/{state.session}/detect", ledger))
