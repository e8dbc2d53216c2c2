"""A face is gone at its time by every clock; a key never dies before what it seals, and hardly later."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from pipeline.lifetimes import FACE_BUCKET_S, FRAME_KEY_LIFE_S, FRAME_WINDOW_S, SKEW, face_end, face_key, frame_key

NAIVE = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001 (hypothesis adds the zones below)
ZONES = st.integers(-12, 14).map(lambda hours: timezone(timedelta(hours=hours)))
MOMENTS = st.builds(lambda naive, zone: naive.replace(tzinfo=zone), NAIVE, ZONES)
MICROSECOND = timedelta(microseconds=1)
BUCKET = timedelta(seconds=FACE_BUCKET_S)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@given(MOMENTS, st.integers(60, 86_400), st.timedeltas(-SKEW, SKEW))
def test_no_clock_gives_a_face_more_than_it_was_given(issued_at: datetime, seconds: int, behind: timedelta) -> None:
    """`behind` is how far the clock of whoever serves it lags that of whoever issued it."""
    served_until = face_end(issued_at, seconds) + behind - issued_at
    assert timedelta(seconds=seconds) - 2 * SKEW <= served_until <= timedelta(seconds=seconds)


@given(MOMENTS)
def test_the_key_of_a_face_dies_with_it_or_within_its_bucket(expires: datetime) -> None:
    key = face_key(expires)
    assert timedelta(0) <= key.expires - expires < BUCKET
    assert key.expires.tzinfo is UTC


@given(MOMENTS, st.timedeltas(timedelta(0), BUCKET))
def test_one_name_means_one_end(expires: datetime, later: timedelta) -> None:
    one, other = face_key(expires), face_key(expires + later)
    assert (one.name == other.name) == (one.expires == other.expires)


def test_a_bucket_ends_on_its_last_moment() -> None:
    assert face_key(NOON).expires == NOON
    assert face_key(NOON + MICROSECOND).expires == NOON + BUCKET
    assert face_key(NOON).name != face_key(NOON + MICROSECOND).name


@given(MOMENTS)
def test_the_key_of_a_frame_lives_until_frames_have_left_and_not_much_longer(sealed_at: datetime) -> None:
    life = frame_key("door", sealed_at).expires - sealed_at
    assert timedelta(seconds=FRAME_KEY_LIFE_S) < life <= timedelta(seconds=FRAME_KEY_LIFE_S + FRAME_WINDOW_S)


def test_frames_of_a_camera_share_a_key_for_a_window() -> None:
    window = timedelta(seconds=FRAME_WINDOW_S)
    assert frame_key("door", NOON) == frame_key("door", NOON + window - MICROSECOND)
    assert frame_key("door", NOON) != frame_key("door", NOON + window)
    assert frame_key("door", NOON).name != frame_key("gate", NOON).name
