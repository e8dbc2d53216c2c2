"""What a successor writes about sessions that a killed process left open."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.balance import Books, balances
from pipeline.capture.sessions import EXPIRED, KILLED
from pipeline.capture.succession import settlement, unsettled
from pipeline.ranges import Ranges, normal, subtract, union
from pipeline.records import Gap, Ledger


def books(*ledgers: Ledger, gaps: tuple[Gap, ...] = ()) -> Books:
    kept = Books()
    for ledger in ledgers:
        kept.ledger(ledger)
    for gap in gaps:
        kept.gap(gap)
    return kept


def captured(sampled: int, *, skipped: Ranges = (), closed: bool = False, camera: str = "door") -> Ledger:
    return Ledger(camera=camera, session="s1", stage="capture", sampled=sampled, skipped=skipped, closed=closed)


def detected(processed: Ranges) -> Ledger:
    return Ledger(camera="door", session="s1", stage="detect", processed=processed)


def killed(first: int, last: int) -> Gap:
    return Gap(camera="door", session="s1", first=first, last=last, reason=KILLED)


def test_a_session_that_was_closed_in_order_is_left_alone() -> None:
    assert unsettled(books(captured(3, closed=True), detected(((0, 2),))), "door") == []


def test_another_cameras_session_is_not_ours() -> None:
    assert unsettled(books(captured(3, camera="gate")), "door") == []


def test_frames_after_the_last_ledger_are_found_on_the_topic() -> None:
    gaps, ledgers = settlement(books(captured(4, skipped=((1, 1),))), "door", {"s1": ((3, 3), (5, 6))})
    assert ledgers == [captured(7, skipped=((1, 1),), closed=True)]
    assert gaps == [killed(0, 0), killed(2, 2), killed(4, 4)]


def test_frames_that_are_gone_from_the_topic_are_known_by_detect() -> None:
    gaps, ledgers = settlement(books(captured(2), detected(((0, 4),))), "door", {})
    assert ledgers == [captured(5, closed=True)]
    assert gaps == []


def test_a_session_killed_before_its_first_frame() -> None:
    assert settlement(books(captured(0)), "door", {}) == ([], [captured(0, closed=True)])


def test_a_gap_is_not_written_twice_when_the_successor_is_killed_too() -> None:
    kept = books(captured(4), gaps=(killed(0, 1),))
    assert settlement(kept, "door", {"s1": ((3, 3),)})[0] == [killed(2, 2)]


def test_a_closed_session_whose_last_frames_went_by_retention() -> None:
    gaps, ledgers = settlement(books(captured(5, closed=True), detected(((0, 1),))), "door", {"s1": ((4, 4),)})
    assert ledgers == []
    assert gaps == [Gap(camera="door", session="s1", first=2, last=3, reason=EXPIRED)]


SETS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 5)).map(lambda span: (span[0], sum(span))), max_size=5
).map(normal)


@given(st.integers(0, 30), SETS, SETS, SETS)
def test_once_detect_has_done_what_stands_the_balance_holds(
    sampled: int, skipped: Ranges, processed: Ranges, standing: Ranges
) -> None:
    kept = books(captured(sampled, skipped=skipped), detected(processed))
    gaps, ledgers = settlement(kept, "door", {"s1": standing})
    for gap in gaps:
        kept.gap(gap)
    for ledger in ledgers:
        kept.ledger(ledger)
    kept.ledger(detected(union(processed, standing)))
    assert balances(kept)["door"].holds
    assert unsettled(kept, "door") == []
    lost = [(gap.first, gap.last) for gap in gaps]
    assert subtract(lost, union(skipped, processed, standing)) == normal(lost)
