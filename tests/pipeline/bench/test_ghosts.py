"""The judge finds whoever is named after an acknowledgement: in records that were made up, and in planted faults."""

from datetime import datetime, timedelta
from typing import Any, Literal

import pytest

from pipeline.bench.ghosts import Acknowledged, Judge
from pipeline.changes import Put, Tombstone
from pipeline.codec import Received
from pipeline.records import Erasure, Identification, Operation, Watermark
from pipeline.stages.contract import Emit
from pipeline.stages.erase import Erase
from pipeline.stages.withdrawal import Known, Withdrawal
from pipeline.topology import GATE, IDENTIFICATIONS, OPERATIONS, PERSONS
from pipeline.views import LiveSet, Positions
from tests.pipeline.examples import NOON, received, seconds
from tests.pipeline.receipts.signing import SIGNER

ANNA, BERT = "anna", "bert"
OWNERS: tuple[Literal["identify", "erase"], ...] = ("identify", "erase", "erase", "identify", "erase")


def named(person: str | None, revision: int, offset: int, at: float, *, track: str = "t0") -> Received:
    value = Identification(
        track_id=track,
        revision=revision,
        camera="door",
        face_id="f0",
        face_expires=NOON,
        captured_at=NOON,
        identified_at=NOON,
        expires=NOON + timedelta(hours=1),
        decision="unknown" if person is None else "identified",
        model="none",
        engine="none",
        threshold=0.5,
        person_id=person,
    )
    return Received(IDENTIFICATIONS, 0, offset, NOON + seconds(at), Put(track, value))


def taken_back(offset: int, at: float, *, track: str = "t0") -> Received:
    return Received(IDENTIFICATIONS, 0, offset, NOON + seconds(at), Tombstone(track))


def judged(*records: Received, end: int, at: float) -> Judge:
    """What is found where Anna's deletion is acknowledged `at`, with the topic's `end` there."""
    judge = Judge()
    for each in records:
        judge.take(each)
    judge.acknowledge(ANNA, Acknowledged(NOON + seconds(at), {0: end}))
    return judge


def faults(judge: Judge) -> tuple[int, int, int]:
    return len(judge.ghosts()), len(judge.kept()), len(judge.last_words())


def test_who_is_taken_back_before_the_acknowledgement_is_no_ghost() -> None:
    assert faults(judged(named(ANNA, 0, 0, 0), taken_back(1, 1), end=2, at=2)) == (0, 0, 0)


def test_who_is_overwritten_before_the_acknowledgement_is_no_ghost() -> None:
    assert faults(judged(named(ANNA, 0, 0, 0), named(BERT, 1, 1, 1), end=2, at=2)) == (0, 0, 0)


def test_whoever_lives_is_named_as_often_as_seen() -> None:
    assert faults(judged(named(BERT, 0, 0, 0), named(BERT, 1, 1, 3), end=1, at=2)) == (0, 0, 0)


def test_who_is_appended_after_the_acknowledgement_is_a_ghost() -> None:
    assert faults(judged(named(ANNA, 0, 0, 2.001), end=1, at=2)) == (1, 0, 1)


def test_who_was_appended_before_and_is_committed_after_the_acknowledgement_is_a_ghost() -> None:
    assert faults(judged(named(ANNA, 0, 7, 1), end=7, at=2)) == (1, 0, 1)


def test_who_is_taken_back_too_late_was_kept() -> None:
    assert faults(judged(named(ANNA, 0, 0, 0), taken_back(1, 2.5), end=1, at=2)) == (0, 1, 0)


def test_who_is_never_taken_back_was_kept() -> None:
    assert faults(judged(named(ANNA, 0, 0, 0), named(BERT, 0, 1, 1, track="t1"), end=2, at=2)) == (0, 1, 1)


def test_a_revision_is_told_once_unless_it_was_taken_back() -> None:
    again = judged(named(BERT, 1, 0, 0), named(BERT, 1, 1, 1), named(BERT, 0, 2, 2), end=3, at=3)
    assert again.duplicated() == 2
    anew = judged(named(ANNA, 1, 0, 0), taken_back(1, 1), named(BERT, 1, 2, 2), named(BERT, 2, 3, 2), end=3, at=3)
    assert anew.duplicated() == 0


def test_a_partition_is_fenced_once_however_often_the_eraser_speaks_for_it() -> None:
    judge = Judge()
    for place, owner in enumerate(OWNERS):
        watermark = Watermark(positions={}, by=owner, at=NOON)
        judge.take(Received(GATE, 0, place, NOON, Put("identify", watermark)))
    assert judge.fences == 2


class Scene:
    """One partition, in which the real stages do what Anna's deletion wants; identify has named her, and is slow."""

    def __init__(self) -> None:
        self.judge, self.now, self.end = Judge(), NOON, 0
        positions = Positions()
        self.withdrawal = Withdrawal(LiveSet(), positions, "identify")
        self.known = self.withdrawal.begin()
        self.erase = Erase(1, LiveSet(), SIGNER, tuple)
        self.erasing = self.erase.begin()
        self._append(IDENTIFICATIONS, named(ANNA, 0, 0, 0).change)
        gone = received(PERSONS, Tombstone(ANNA, "op"), 10)
        positions.apply(gone)
        self.erase.follow(gone)
        asked = Operation(
            operation_id="op",
            outcome="erasing",
            requested=NOON,
            finished=NOON,
            forgotten=1,
            erasure=Erasure(kind="person", subject=ANNA, principal="ann", counts={"persons": 1}),
        )
        self.erasing = self.erase.replay(self.erasing, received(OPERATIONS, Put("op", asked)))

    def _append(self, topic: Any, change: Any) -> None:
        self.now += seconds(0.1)
        record = Received(topic, 0, self.end, self.now, change)
        self.end += topic is IDENTIFICATIONS
        self.judge.take(record)
        self.erase.follow(record)
        if topic is IDENTIFICATIONS:
            self.known = self.withdrawal.replay(self.known, record)

    def play(self, *, identify_after: int = 3) -> Judge:
        """Until some rounds after the acknowledgement; in one of the rounds identify comes to its turn."""
        for turn in range(6):
            self.erasing, outputs, _ = self.erase.tick(self.erasing, self.now)
            if any(isinstance(each, Emit) and each.topic is OPERATIONS for each in outputs):
                self.judge.acknowledge(ANNA, Acknowledged(self.now, {0: self.end}))
            if turn == identify_after:
                self.known, told, _ = self.withdrawal.tick(self.known, self.now)
                for each in told:
                    assert isinstance(each, Emit)
                    self._append(each.topic, each.change)
            self.now += seconds(0.1)
        assert self.judge.acknowledged
        return self.judge


def test_the_real_stages_leave_no_ghost() -> None:
    assert faults(Scene().play()) == (0, 0, 0)


def test_an_eraser_that_waits_for_nobody_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Erase, "_behind", lambda self, waiting, now: [])
    assert faults(Scene().play()) == (0, 1, 0)


def test_an_identify_that_takes_nothing_back_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    tick = Withdrawal.tick

    def silent(self: Withdrawal, state: Known, now: datetime) -> Any:
        state, outputs, due = tick(self, state, now)
        return state, [each for each in outputs if isinstance(each, Emit) and each.topic is GATE], due

    monkeypatch.setattr(Withdrawal, "tick", silent)
    assert faults(Scene().play()) == (0, 1, 1)


def test_an_identify_that_has_told_how_far_it_is_and_names_her_all_the_same_is_found() -> None:
    scene = Scene()
    scene.play()
    scene._append(IDENTIFICATIONS, named(ANNA, 1, 0, 0).change)
    assert faults(scene.judge) == (1, 0, 1)
