"""Every face gets its tombstone at its end, once, whatever happened in between."""

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from pipeline.changes import Change, Put, Tombstone
from pipeline.codec import Received
from pipeline.records import Face
from pipeline.stages.contract import DestroyExpiredKeys, Emit, Output
from pipeline.stages.expire import Expire, Pending
from pipeline.topology import EXPIRE, FACES
from tests.pipeline.examples import NOON, face, received, seconds

STAGE = Expire()


def put(face_id: str, ends: float) -> Received:
    return received(FACES, Put(face_id, face(face_id, expires=NOON + seconds(ends))))


def known(*inputs: Received, now: datetime = NOON) -> Pending:
    state, outputs = STAGE.step(STAGE.begin(), STAGE.prepare(inputs), now)
    assert outputs == []
    return state


def forgotten(outputs: list[Output]) -> list[str]:
    keys = []
    for output in outputs:
        if isinstance(output, Emit):
            assert output.topic is FACES
            assert isinstance(output.change, Tombstone)
            keys.append(output.change.key)
    return keys


def test_it_reads_what_it_also_writes() -> None:
    assert STAGE.node is EXPIRE
    assert EXPIRE.reads is FACES


def test_a_face_ends_at_its_time_and_not_before() -> None:
    state = known(put("f0", 10), put("f1", 20))
    state, outputs, due = STAGE.tick(state, NOON)
    assert (outputs, due) == ([DestroyExpiredKeys(NOON)], NOON + seconds(5))
    state, outputs, due = STAGE.tick(state, NOON + seconds(9.999))
    assert forgotten(outputs) == []
    assert due == NOON + seconds(10)
    state, outputs, due = STAGE.tick(state, NOON + seconds(10))
    assert forgotten(outputs) == ["f0"]
    state, outputs, _ = STAGE.tick(state, NOON + seconds(60))
    assert forgotten(outputs) == ["f1"]
    assert (state.expires, state.ends) == ({}, [])


def test_keys_are_looked_for_also_while_no_face_ends() -> None:
    state, asked = STAGE.begin(), []
    for second in range(12):
        state, outputs, due = STAGE.tick(state, NOON + seconds(second))
        asked += [output.now for output in outputs if isinstance(output, DestroyExpiredKeys)]
        assert due is not None
        assert due > NOON + seconds(second)
    assert asked == [NOON, NOON + seconds(5), NOON + seconds(10)]


def test_a_face_that_was_written_again_ends_when_its_last_word_says() -> None:
    state = known(put("f0", 10), put("f0", 20), put("f0", 20))
    state, outputs, _ = STAGE.tick(state, NOON + seconds(15))
    assert forgotten(outputs) == []
    assert forgotten(STAGE.tick(state, NOON + seconds(20))[1]) == ["f0"]
    assert forgotten(STAGE.tick(known(put("f0", 20), put("f0", 10)), NOON + seconds(15))[1]) == ["f0"]


def test_a_tombstone_that_it_reads_again_is_its_own() -> None:
    state = known(put("f0", 10), received(FACES, Tombstone("f0")), received(FACES, Tombstone("f9")))
    assert forgotten(STAGE.tick(state, NOON + seconds(60))[1]) == []


def test_a_face_that_arrives_late_is_ended_at_once() -> None:
    assert forgotten(STAGE.tick(known(put("f0", -30)), NOON)[1]) == ["f0"]


WORDS = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30) | st.none()), max_size=20)


@given(WORDS, WORDS)
def test_after_any_history_exactly_the_faces_that_are_over_get_a_tombstone(
    replayed: list[tuple[str, int | None]], read: list[tuple[str, int | None]]
) -> None:
    def changes(words: list[tuple[str, int | None]]) -> list[Received]:
        return [received(FACES, Tombstone(key)) if end is None else put(key, end) for key, end in words]

    state = STAGE.begin()
    for each in changes(replayed):
        state = STAGE.replay(state, each)
    # What was replayed beyond the committed offset is read once more.
    state, _ = STAGE.step(state, changes(replayed[-3:] + read), NOON)
    last = dict(replayed + read)
    state, outputs, _ = STAGE.tick(state, NOON + seconds(15))
    assert sorted(forgotten(outputs)) == sorted(key for key, end in last.items() if end is not None and end <= 15)
    state, outputs, due = STAGE.tick(state, NOON + seconds(31))
    assert sorted(forgotten(outputs)) == sorted(key for key, end in last.items() if end is not None and end > 15)
    assert (state.expires, state.ends, due) == ({}, [], NOON + seconds(36))


def test_a_replay_of_its_own_tombstones_forgets_the_same_faces() -> None:
    changes: list[Change[Face]] = [Put("f0", face("f0", expires=NOON)), Put("f1", face("f1", expires=NOON))]
    state = known(*(received(FACES, change) for change in changes))
    _, outputs, _ = STAGE.tick(state, NOON)
    changes += [output.change for output in outputs if isinstance(output, Emit)]
    again = STAGE.begin()
    for change in changes:
        again = STAGE.replay(again, received(FACES, change))
    assert forgotten(STAGE.tick(again, NOON + seconds(60))[1]) == []
