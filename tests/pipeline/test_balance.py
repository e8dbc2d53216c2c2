"""Every sampled frame is accounted for once, however many records tell of it."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from pipeline.balance import Balance, balance
from pipeline.ranges import Ranges, normal
from pipeline.records import DeadLetter, FrameId, Gap, Ledger
from pipeline.topology import FACES, FRAMES

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def captured(sampled: int, skipped: Ranges = (), session: str = "s1", camera: str = "door") -> Ledger:
    return Ledger(camera=camera, session=session, stage="capture", sampled=sampled, skipped=skipped)


def detected(processed: Ranges, session: str = "s1", camera: str = "door") -> Ledger:
    return Ledger(camera=camera, session=session, stage="detect", processed=processed)


def gap(first: int, last: int, session: str = "s1", camera: str = "door") -> Gap:
    return Gap(camera=camera, session=session, first=first, last=last, reason="oversized")


def letter(sequence: int | None, session: str = "s1", camera: str = "door") -> DeadLetter:
    frame = None if sequence is None else FrameId(camera, session, sequence)
    topic = (FACES if frame is None else FRAMES).name
    return DeadLetter(topic=topic, partition=0, offset=7, error="garbage", attempts=3, found_at=NOON, frame=frame)


def test_a_day_that_holds() -> None:
    sheet = balance([captured(10, ((2, 3),)), detected(((0, 1), (6, 9)))], [gap(4, 4)], [letter(5), letter(None)])
    assert sheet == {"door": Balance(sampled=10, processed=6, dead_letters=1, skipped=2, gaps=1, unaccounted=0)}
    assert sheet["door"].holds


def test_a_frame_that_nobody_tells_of_shows() -> None:
    sheet = balance([captured(10), detected(((0, 3), (6, 9)))], [gap(4, 4)], [])
    assert sheet["door"].unaccounted == 1
    assert not sheet["door"].holds


def test_a_frame_counts_once_and_the_best_word_wins() -> None:
    sheet = balance([captured(3, ((0, 2),)), detected(((0, 0),))], [gap(0, 2), gap(0, 2)], [letter(0), letter(1)])
    assert sheet["door"] == Balance(sampled=3, processed=1, dead_letters=1, skipped=1)


def test_detect_may_be_ahead_of_the_ledger() -> None:
    assert balance([captured(3), detected(((0, 5),))], [], [])["door"] == Balance(sampled=3, processed=3)


def test_sessions_add_up_and_cameras_do_not_mix() -> None:
    ledgers = [captured(2), captured(3, session="s2"), captured(4, camera="gate"), detected(((0, 3),), camera="gate")]
    sheet = balance(ledgers, [gap(0, 1), gap(0, 2, session="s2")], [])
    assert sheet == {"door": Balance(sampled=5, gaps=5), "gate": Balance(sampled=4, processed=4)}


def test_the_newest_ledger_counts() -> None:
    assert balance([captured(3), detected(((0, 1),)), captured(5), detected(((0, 4),))], [], [])["door"].holds


def test_an_empty_day_holds() -> None:
    assert balance([], [], []) == {}
    assert balance([captured(0)], [], [])["door"] == Balance()


SPANS = st.tuples(st.integers(0, 40), st.integers(0, 9)).map(lambda span: (span[0], span[0] + span[1]))
SETS = st.lists(SPANS, max_size=6).map(normal)


@given(st.integers(0, 50), SETS, SETS, SETS, st.sets(st.integers(0, 50), max_size=5))
def test_it_always_adds_up_to_what_sets_say(
    sampled: int, skipped: Ranges, processed: Ranges, lost: Ranges, dead: set[int]
) -> None:
    sheet = balance(
        [captured(sampled, skipped), detected(processed)],
        [gap(first, last) for first, last in lost],
        [letter(number) for number in dead],
    )["door"]

    def numbers(ranges: Ranges) -> set[int]:
        return {number for first, last in ranges for number in range(first, last + 1)}

    told = numbers(processed) | numbers(skipped) | numbers(lost) | dead
    assert sheet.unaccounted == len(set(range(sampled)) - told)
    assert sheet.processed == len(set(range(sampled)) & numbers(processed))
    parts = sheet.processed + sheet.dead_letters + sheet.skipped + sheet.gaps + sheet.unaccounted
    assert parts == sheet.sampled == sampled
    assert sheet.holds == (set(range(sampled)) <= told)
