"""A session's account: every number one fate, whatever order things happen in."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.capture.sessions import MAX_SKIPPED_RANGES, UNAVAILABLE, Account
from pipeline.ranges import count, union
from pipeline.records import Gap, Ledger


def account() -> Account:
    return Account("door", "s1", lambda fate, frames: None)


def test_numbers_that_never_arrived_were_skipped() -> None:
    books = account()
    for number in (0, 1, 4, 5):
        books.sample(number)
    assert books.ledger() == Ledger(camera="door", session="s1", stage="capture", sampled=6, skipped=((2, 3),))
    assert books.ledger(closed=True).closed


def test_a_number_is_given_once() -> None:
    books = account()
    books.sample(3)
    with pytest.raises(ValueError, match="frame 3 of session s1 was sampled before"):
        books.sample(3)


def test_gaps_stay_until_kafka_has_them() -> None:
    books = account()
    for number in range(5):
        books.sample(number)
    for number in (0, 1, 3):
        books.lose(number, UNAVAILABLE)
    first, second = books.gaps()
    assert first == Gap(camera="door", session="s1", first=0, last=1, reason=UNAVAILABLE)
    books.lose(2, UNAVAILABLE)  # while the first is being written
    books.told(first)
    assert books.gaps() == [Gap(camera="door", session="s1", first=2, last=3, reason=UNAVAILABLE)]
    books.told(second)
    assert [(gap.first, gap.last) for gap in books.gaps()] == [(2, 2)]


def test_a_session_ends_before_its_ledger_grows_without_bound() -> None:
    books = account()
    for number in range(2 * MAX_SKIPPED_RANGES):
        assert not books.full
        books.sample(number)
        if number % 2:
            books.skip(number)
    assert books.full


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["sent", "skipped", "lost"])), max_size=60))
def test_fates_add_up_and_are_counted(frames: list[tuple[int, str]]) -> None:
    counted: Counter[str] = Counter()

    def note(fate: str, number: int) -> None:
        counted[fate] += number

    books = Account("door", "s1", note)
    sent = 0
    for missed, fate in frames:
        number = books.sampled + missed
        books.sample(number)
        match fate:
            case "skipped":
                books.skip(number)
            case "lost":
                books.lose(number, UNAVAILABLE)
            case _:
                sent += 1
    lost = union(*books.lost.values())
    assert books.sampled == sent + count(books.skipped) + count(lost)
    assert counted == Counter(sampled=books.sampled, skipped=count(books.skipped), lost=count(lost))
