"""Match faces against the galleries: the gallery proposes, the live set decides."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.changes import Put
from pipeline.codec import Received, Unusable
from pipeline.galleries import Candidate, Gallery, Searched
from pipeline.records import Face, Identification, Shot
from pipeline.stages.contract import Emit, Output
from pipeline.stages.withdrawal import Known, Passage, Withdrawal
from pipeline.topology import IDENTIFICATIONS, IDENTIFY, Node
from pipeline.views import LiveSet, Positions


@dataclass(frozen=True, slots=True)
class Probe:
    """A face and what the galleries of its watch proposed for it."""

    face: Face
    shot: Shot
    proposals: Sequence[tuple[str, Candidate]]


@dataclass(frozen=True, slots=True)
class _Opened:
    """A face whose template could be opened: vector (dimension,)."""

    face: Face
    shot: Shot
    vector: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Identify:
    """One identification per track: its newest revision, or its tombstone.

    `thresholds` holds each model's own; a camera's threshold goes before it. `open_template` returns a probe's
    vector (dimension,), or None once its key is destroyed, which is what expiry means.
    """

    gallery: Gallery
    live: LiveSet
    thresholds: Mapping[str, float]
    open_template: Callable[[Face], NDArray[np.float32] | None]
    keep: timedelta = timedelta(hours=24)
    candidates: int = 5
    positions: Positions = field(default_factory=Positions)
    batch: int = 64

    @property
    def node(self) -> Node:
        return IDENTIFY

    def follow(self, received: Received) -> None:
        self.live.apply(received)
        self.positions.apply(received)

    def begin(self) -> Known:
        return self._withdrawal.begin()

    def replay(self, state: Known, received: Received) -> Known:
        return self._withdrawal.replay(state, received)

    def prepare(self, inputs: Sequence[Received]) -> list[Probe | Unusable]:
        opened: list[_Opened] = []
        unusable: list[Unusable] = []
        for each in inputs:
            face: Face | None = each.change.value if isinstance(each.change, Put) else None
            if face is None or face.shot is None:
                continue
            if face.recognition.pack not in self.thresholds:
                unusable.append(Unusable(each.topic, each.partition, each.offset, "no such model", face.shot.frame))
            elif (vector := self.open_template(face)) is not None:
                opened.append(_Opened(face, face.shot, vector))
        return [*unusable, *self._proposed(opened)]

    def _proposed(self, opened: Sequence[_Opened]) -> list[Probe]:
        proposals: dict[str, list[tuple[str, Candidate]]] = {each.face.face_id: [] for each in opened}
        for uid, members in self._searches(opened).items():
            collection = self.live.collections.get(uid)
            if collection is None:
                continue
            vectors = np.stack([each.vector for each in members])
            where = Searched(collection.kind, uid, members[0].face.recognition.pack)
            found = self.gallery.search(where, vectors, self.candidates)
            for each, candidates in zip(members, found, strict=True):
                proposals[each.face.face_id] += [(uid, candidate) for candidate in candidates]
        return [Probe(each.face, each.shot, proposals[each.face.face_id]) for each in opened]

    def _searches(self, opened: Sequence[_Opened]) -> dict[str, list[_Opened]]:
        """Which probes to search in which collection: one call to the gallery serves a whole batch."""
        searches: dict[str, list[_Opened]] = defaultdict(list)
        for each in opened:
            for scope in each.shot.watch.collections:
                collection = self.live.collection_of(scope)
                # Templates of different models never meet.
                if collection is not None and collection.recognition == each.face.recognition:
                    searches[collection.uid].append(each)
        return searches

    def step(
        self, state: Known, prepared: Sequence[Probe | Unusable], now: datetime
    ) -> tuple[Known, list[Output | Unusable]]:
        outputs: list[Output | Unusable] = []
        for probe in prepared:
            if isinstance(probe, Unusable):
                outputs.append(probe)
                continue
            track = probe.shot.track_id
            before = state.passages.get(track)
            # Faces come at least once: what detect published again after a crash is told already.
            if probe.face.expires <= now or (before is not None and before.revision >= probe.shot.revision):
                continue
            told = self.decide(probe, now)
            state.publish(track, Passage(told.person_id, told.revision, told.expires))
            outputs.append(Emit(IDENTIFICATIONS, Put(track, told)))
        return state, outputs

    def decide(self, probe: Probe, now: datetime) -> Identification:
        """The whole policy: the best live candidate at or over the threshold is named, else nobody is."""
        face, shot = probe.face, probe.shot
        own = shot.watch.threshold
        threshold = self.thresholds[face.recognition.pack] if own is None else own
        alive = [
            (candidate.similarity, uid, candidate.person_id)
            for uid, candidate in probe.proposals
            if candidate.person_id is not None
            and self.live.may_name(
                collection=uid,
                person=candidate.person_id,
                persisted_face_id=candidate.persisted_face_id,
                kid=candidate.kid,
            )
        ]
        similarity, collection, person = max(alive, default=(None, None, None))
        decision: Literal["identified", "unknown"] = "identified"
        # So written that a similarity which is no number names nobody.
        if similarity is None or not similarity >= threshold:
            decision, collection, person = "unknown", None, None
        return Identification(
            track_id=shot.track_id,
            revision=shot.revision,
            camera=shot.frame.camera,
            face_id=face.face_id,
            face_expires=face.expires,
            captured_at=face.captured_at,
            identified_at=now,
            expires=now + self.keep,
            decision=decision,
            model=face.recognition.pack,
            engine=self.gallery.engine,
            threshold=threshold,
            person_id=person,
            collection=collection,
            similarity=similarity,
        )

    def tick(self, state: Known, now: datetime) -> tuple[Known, list[Output], datetime | None]:
        return self._withdrawal.tick(state, now)

    @property
    def _withdrawal(self) -> Withdrawal:
        return Withdrawal(self.live, self.positions, "identify")
