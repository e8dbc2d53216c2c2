"""An owner says how far he has come: once for all that he has learnt, and never before he acted on it."""

from pipeline.changes import Put, Tombstone
from pipeline.records import Watermark
from pipeline.stages.contract import Emit
from pipeline.stages.withdrawal import KEY, Passage, Withdrawal
from pipeline.topology import GATE, IDENTIFICATIONS, PERSONS
from pipeline.views import LiveSet, Positions
from tests.pipeline.examples import NOON, person, received, seconds

LATER = NOON + seconds(60)


def withdrawal() -> Withdrawal:
    return Withdrawal(LiveSet(), Positions(), "erase")


def follow(stage: Withdrawal, change: Put[object] | Tombstone, offset: int) -> None:
    told = received(PERSONS, change, offset)
    stage.live.apply(told)
    stage.positions.apply(told)


def test_a_new_owner_says_at_once_how_far_he_has_come() -> None:
    stage = withdrawal()
    follow(stage, Put("p0", person("p0")), 7)
    state, outputs, due = stage.tick(stage.begin(), NOON)
    assert outputs == [Emit(GATE, Put(KEY, Watermark(positions={"persons/0": 8}, by="erase", at=NOON)))]
    assert due is None
    assert stage.tick(state, NOON)[1] == []


def test_what_was_only_put_needs_no_word() -> None:
    stage = withdrawal()
    state, _, _ = stage.tick(stage.begin(), NOON)
    follow(stage, Put("p0", person("p0")), 0)
    assert stage.tick(state, NOON)[1] == []


def test_the_person_is_taken_back_before_the_watermark_says_so() -> None:
    stage = withdrawal()
    follow(stage, Put("p0", person("p0")), 0)
    state, _, _ = stage.tick(stage.begin(), NOON)
    state.publish("t0", Passage("p0", 0, LATER))
    state.publish("t1", Passage(None, 0, LATER))
    follow(stage, Tombstone("p0"), 3)
    _, outputs, due = stage.tick(state, NOON)
    assert [(each.topic, each.change.key) for each in outputs if isinstance(each, Emit)] == [
        (IDENTIFICATIONS, "t0"),
        (GATE, KEY),
    ]
    assert due == LATER


def test_the_positions_of_a_watermark_stand_still() -> None:
    stage = withdrawal()
    _, (told,), _ = stage.tick(stage.begin(), NOON)
    follow(stage, Tombstone("p0"), 3)
    assert isinstance(told, Emit)
    assert told.change == Put(KEY, Watermark(positions={}, by="erase", at=NOON))
