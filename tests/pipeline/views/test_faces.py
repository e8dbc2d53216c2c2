"""The view of unexpired faces: an expired face is one that never existed, whoever forgets to say so."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from pipeline.changes import Put, Tombstone
from pipeline.codec import Received
from pipeline.topology import FACES
from pipeline.views import FaceView
from tests.pipeline.examples import NOON, face, seconds


def told(change: Put[object] | Tombstone, after: timedelta = timedelta(0)) -> Received:
    return Received(FACES, 0, 0, NOON + after, change)


def test_a_face_is_found_until_it_expires() -> None:
    view = FaceView()
    view.apply(told(Put("f0", face(expires=NOON + seconds(60)))))
    assert view.find("f0", NOON + seconds(59.999)) == face(expires=NOON + seconds(60))
    assert view.find("f0", NOON + seconds(60)) is None
    assert view.find("f1", NOON) is None


def test_a_tombstone_ends_a_face_at_once() -> None:
    view = FaceView()
    view.apply(told(Put("f0", face())))
    view.apply(told(Tombstone("f0")))
    assert view.find("f0", NOON) is None
    assert len(view) == 0


def test_what_expired_is_let_go_of_also_when_nobody_says_so() -> None:
    view = FaceView()
    view.apply(told(Put("f0", face(expires=NOON + seconds(60)))))
    view.apply(told(Put("f1", face("f1", expires=NOON + seconds(600))), seconds(61)))
    assert len(view) == 1


def test_a_face_that_is_published_again_lives_until_its_newest_end() -> None:
    view = FaceView()
    view.apply(told(Put("f0", face(expires=NOON + seconds(60)))))
    view.apply(told(Put("f0", face(expires=NOON + seconds(90)))))
    view.apply(told(Put("f1", face("f1")), seconds(70)))
    assert view.find("f0", NOON + seconds(80)) is not None


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.integers(1, 50)), st.integers(0, 10)), max_size=30
    )
)
def test_after_any_history_exactly_the_living_are_found(history: list[tuple[str, int | None, int]]) -> None:
    view, model, clock = FaceView(), dict[str, int](), 0
    for key, life, passed in history:
        clock += passed
        if life is None:
            view.apply(told(Tombstone(key), seconds(clock)))
            model.pop(key, None)
        else:
            view.apply(told(Put(key, face(key, expires=NOON + seconds(clock + life))), seconds(clock)))
            model[key] = clock + life
        for each in "abc":
            assert (view.find(each, NOON + seconds(clock)) is not None) == (model.get(each, 0) > clock)
