"""When a deletion is called done, whom it waits for, whom it stops waiting for, and what is swept up behind it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.changes import Put, Tombstone
from pipeline.receipts import Head, appended, verify_chain, verify_entry
from pipeline.records import AuditEntry, Bound, Erasure, Operation, Passed, Receipt, Span, Verified, Watermark
from pipeline.stages.contract import Emit, Nudge, Output, Purge, TakeOver
from pipeline.stages.erase import AGAIN, PATIENCE, PURGE_EVERY, ROLLED, SEEN_BY_THEN, Erase, Erasing
from pipeline.stages.withdrawal import KEY
from pipeline.topology import AUDIT, CONTROL, DETECT, GATE, IDENTIFICATIONS, OPERATIONS, PERSONS, TEMPLATES
from pipeline.views import LiveSet
from tests.pipeline.examples import NOON, person, received, seconds
from tests.pipeline.receipts.signing import PUBLIC, SIGNER

PARTITIONS = 2
BOUNDS = (Bound(store="templates", why="settings", seconds=600.0),)

FOUND = tuple(
    Verified(erasure=name, store="persons", at=NOON, clean=True, seconds=400.0, how="read") for name in ("a", "b")
)


def operation(name: str = "op", forgotten: int = 3) -> Operation:
    erasure = Erasure(kind="person", subject="p0", principal="ann", counts={"persons": 1, "templates": 2})
    return Operation(
        operation_id=name, outcome="erasing", requested=NOON, finished=NOON, forgotten=forgotten, erasure=erasure
    )


class Case:
    """An eraser of two partitions, and what it is told."""

    def __init__(self) -> None:
        self.stage = Erase(PARTITIONS, LiveSet(), SIGNER, lambda: BOUNDS)
        self.state: Erasing = self.stage.begin()

    def ask(self, *operations: Operation) -> None:
        inputs = [received(OPERATIONS, Put(each.operation_id, each)) for each in operations]
        self.state, outputs = self.stage.step(self.state, self.stage.prepare(inputs), NOON)
        assert outputs == []

    def see(self, cause: str = "op") -> None:
        """The tombstones of a person with two templates."""
        self.stage.follow(received(PERSONS, Tombstone("p0", cause), 10))
        self.stage.follow(received(TEMPLATES, Tombstone("p0/e0", cause), 20))
        self.stage.follow(received(TEMPLATES, Tombstone("p0/e1", cause), 21))

    def hear(self, partition: int, *, by: str = "identify", **positions: int) -> None:
        wanted = {f"{topic}/0": offset for topic, offset in positions.items()}
        told = Watermark(positions=wanted, by=by, at=NOON)  # type: ignore[arg-type]
        self.stage.follow(received(GATE, Put(KEY, told), partition=partition))

    def tick(self, now: datetime = NOON) -> tuple[list[Output], datetime | None]:
        self.state, outputs, due = self.stage.tick(self.state, now)
        return [each for each in outputs if not isinstance(each, Purge)], due


def done(outputs: Sequence[Output]) -> list[str]:
    return [each.change.value.outcome for each in outputs if isinstance(each, Emit) and isinstance(each.change, Put)]


@pytest.fixture
def case() -> Case:
    return Case()


def test_a_deletion_is_done_when_every_partition_is_behind_its_tombstones(case: Case) -> None:
    case.ask(operation())
    case.see()
    case.hear(0, persons=11, templates=22)
    assert case.tick()[0] == []
    case.hear(1, persons=11, templates=21)
    assert case.tick()[0] == [], "one tombstone short"
    case.hear(1, persons=11, templates=22)
    outputs, _ = case.tick(NOON + seconds(1))
    (told,) = outputs
    assert isinstance(told, Emit)
    assert isinstance(told.change, Put)
    assert told.topic is OPERATIONS
    final: Operation = told.change.value
    assert (final.outcome, final.finished) == ("succeeded", NOON + seconds(1))
    assert final.erasure is not None
    assert final.erasure.tombstones == (
        Span(topic="persons", partition=0, first=10, last=10, count=1),
        Span(topic="templates", partition=0, first=20, last=21, count=2),
    )
    assert final.erasure.passed == tuple(
        Passed(partition=partition, positions={"persons/0": 11, "templates/0": 22}, at=NOON) for partition in (0, 1)
    )
    assert case.tick()[0] == []


def test_nothing_is_done_before_every_tombstone_was_seen(case: Case) -> None:
    case.ask(operation(forgotten=4))
    case.see()
    for partition in range(PARTITIONS):
        case.hear(partition, persons=1000, templates=1000)
    outputs, due = case.tick()
    assert (outputs, due) == ([], NOON + AGAIN)


def test_a_deletion_whose_tombstones_are_cleaned_away_ends_all_the_same(case: Case) -> None:
    case.ask(operation())
    case.stage.follow(received(PERSONS, Tombstone("somebody"), 99))
    for partition in range(PARTITIONS):
        case.hear(partition, persons=99)
    assert case.tick(NOON + SEEN_BY_THEN)[0] == []
    for partition in range(PARTITIONS):
        case.hear(partition, persons=100)
    assert done(case.tick(NOON + SEEN_BY_THEN)[0]) == ["succeeded"]


def test_a_collection_that_is_still_leaving_is_not_done_however_long_it_takes(case: Case) -> None:
    """It is forgotten in portions, and control may be away between two of them."""
    leaving = msgspec.structs.replace(
        operation(), erasure=Erasure(kind="collection", subject="u0", principal="ann", counts={})
    )
    case.stage.follow(received(PERSONS, Put("p1", person("p1"))))
    case.ask(leaving)
    for partition in range(PARTITIONS):
        case.hear(partition, persons=1)
    assert case.tick(NOON + SEEN_BY_THEN)[0] == []
    case.stage.follow(received(PERSONS, Tombstone("p1", "op"), 1))
    for partition in range(PARTITIONS):
        case.hear(partition, persons=2)
    assert done(case.tick(NOON + SEEN_BY_THEN)[0]) == ["succeeded"]


def test_patience_begins_when_all_tombstones_were_seen(case: Case) -> None:
    case.ask(operation())
    for partition in range(PARTITIONS):
        case.hear(partition)
    case.tick(NOON)
    case.see()
    assert case.tick(NOON + 2 * PATIENCE)[0] == []
    assert case.tick(NOON + 3 * PATIENCE)[0] == [TakeOver(0, heard=True), TakeOver(1, heard=True)]


def test_a_partition_that_is_silent_for_too_long_is_taken_over(case: Case) -> None:
    case.ask(operation())
    case.see()
    case.hear(0, persons=11, templates=22)
    assert case.tick()[0] == []
    assert case.tick(NOON + PATIENCE - seconds(0.1))[0] == []
    assert case.tick(NOON + PATIENCE)[0] == [TakeOver(1)]
    case.hear(1, by="erase", persons=11, templates=22)
    (told,), _ = case.tick(NOON + PATIENCE)
    assert isinstance(told, Emit)
    assert isinstance(told.change, Put)
    assert [each.fenced for each in told.change.value.erasure.passed] == [False, True]


def test_a_partition_that_the_eraser_owns_is_not_waited_for(case: Case) -> None:
    case.hear(0, by="erase")
    case.hear(1, by="identify")
    case.ask(operation())
    case.see()
    assert case.tick()[0] == [TakeOver(0)]


def test_an_owner_that_was_heard_again_is_waited_for_as_any_other(case: Case) -> None:
    for partition in range(PARTITIONS):
        case.hear(partition, by="erase")
        case.hear(partition, by="identify")
    case.ask(operation())
    case.see()
    assert case.tick()[0] == []
    assert case.tick(NOON + PATIENCE)[0] == [TakeOver(0, heard=True), TakeOver(1, heard=True)]


def test_patience_begins_anew_with_a_new_life(case: Case) -> None:
    case.ask(operation())
    case.see()
    assert case.tick(NOON + 10 * PATIENCE)[0] == []
    assert case.tick(NOON + 11 * PATIENCE)[0] == [TakeOver(0), TakeOver(1)]


def test_what_is_done_is_not_done_again_when_it_is_read_again(case: Case) -> None:
    case.ask(operation())
    case.see()
    for partition in range(PARTITIONS):
        case.hear(partition, persons=11, templates=22)
    (told,), _ = case.tick()
    assert isinstance(told, Emit)
    again = Case()
    again.stage.replay(again.state, received(OPERATIONS, told.change))
    again.ask(operation())
    again.see()
    for partition in range(PARTITIONS):
        again.hear(partition, persons=11, templates=22)
    assert done(again.tick()[0]) == []


def test_what_is_done_gets_a_receipt_when_it_is_read(case: Case) -> None:
    finished = msgspec.structs.replace(operation(), outcome="succeeded", finished=NOON + seconds(1))
    inputs = [received(OPERATIONS, Put("op", finished), 5, partition=3)]
    case.state, outputs = case.stage.step(case.state, case.stage.prepare(inputs), NOON + seconds(2))
    (told,) = outputs
    assert isinstance(told, Emit)
    assert isinstance(told.change, Put)
    entry: AuditEntry = told.change.value
    verify_entry(entry, PUBLIC)
    assert (told.topic, told.change.key, entry.sequence, entry.chain) == (AUDIT, "op", 0, 3)
    assert isinstance(entry.event, Receipt)
    assert (entry.event.subject, entry.event.principal, entry.event.bounds) == ("p0", "ann", BOUNDS)
    assert (entry.event.requested, entry.event.effective, entry.at) == (NOON, NOON + seconds(1), NOON + seconds(2))


def test_what_a_search_found_goes_on_the_chain_too(case: Case) -> None:
    told = Operation(operation_id="n", outcome="succeeded", requested=NOON, finished=NOON, found=FOUND)
    inputs = [received(OPERATIONS, Put("n", told))]
    case.state, outputs = case.stage.step(case.state, case.stage.prepare(inputs), NOON)
    entries = [each.change.value for each in outputs if isinstance(each, Emit) and isinstance(each.change, Put)]
    assert [entry.event for entry in entries] == list(FOUND)
    verify_chain(entries, PUBLIC)


def test_receipts_go_on_the_chain_that_is_there(case: Case) -> None:
    before = appended(
        Head(0), Verified(erasure="x", store="s", at=NOON, clean=True, seconds=1.0, how="h"), NOON, SIGNER
    )
    case.state = case.stage.replay(case.state, received(AUDIT, Put("x", before)))
    entries = [before]
    for name in ("a", "b"):
        finished = msgspec.structs.replace(operation(name), outcome="succeeded")
        inputs = [received(OPERATIONS, Put(name, finished))]
        case.state, (told,) = case.stage.step(case.state, case.stage.prepare(inputs), NOON)
        assert isinstance(told, Emit)
        assert isinstance(told.change, Put)
        entries.append(told.change.value)
    assert verify_chain(entries, PUBLIC) == Head.after(entries[-1])


def test_what_is_only_replayed_gets_no_second_receipt(case: Case) -> None:
    finished = msgspec.structs.replace(operation(), outcome="succeeded")
    case.state = case.stage.replay(case.state, received(OPERATIONS, Put("op", finished)))
    assert case.tick()[0] == []


def test_other_commands_are_not_waited_for(case: Case) -> None:
    case.ask(Operation(operation_id="a", outcome="succeeded", requested=NOON, finished=NOON, forgotten=3))
    outputs, due = case.tick(NOON + PATIENCE)
    assert (outputs, due) == ([], NOON + PATIENCE + PURGE_EVERY)


@pytest.mark.parametrize(
    ("told", "may"),
    [
        (operation(), False),
        (msgspec.structs.replace(operation(), outcome="succeeded"), False),
        (Operation(operation_id="op", outcome="succeeded", requested=NOON, finished=NOON, found=FOUND), False),
        (Operation(operation_id="op", outcome="succeeded", requested=NOON, finished=NOON), True),
        (Operation(operation_id="op", outcome="failed", requested=NOON, finished=NOON, code="X"), True),
    ],
    ids=["being erased", "erased", "searched", "anything else", "refused"],
)
def test_no_deletion_and_no_finding_is_ever_passed_over(case: Case, told: Operation, may: bool) -> None:
    given_up = received(OPERATIONS, Put("op", told))
    assert case.stage.may_pass_over(given_up) is may
    assert case.stage.pass_over(case.state, given_up, NOON) == (case.state, [])


def test_segments_are_rolled_once_their_time_is_over(case: Case) -> None:
    case.ask(operation())
    case.see()
    for partition in range(PARTITIONS):
        case.hear(partition, persons=11, templates=22)
    case.tick()
    latest = max(timedelta(milliseconds=topic.segment_ms) for topic in ROLLED)
    assert case.tick(NOON + timedelta(milliseconds=PERSONS.segment_ms))[0] == []
    outputs, _ = case.tick(NOON + timedelta(milliseconds=PERSONS.segment_ms) + seconds(31))
    assert Nudge(PERSONS) in outputs
    assert Nudge(TEMPLATES) not in outputs
    outputs, _ = case.tick(NOON + latest + seconds(31))
    assert {Nudge(TEMPLATES), Nudge(IDENTIFICATIONS)} <= set(outputs)
    assert case.tick(NOON + timedelta(days=1))[0] == []


def test_a_new_life_remembers_which_segments_are_still_to_be_rolled(case: Case) -> None:
    case.ask(operation())
    case.see()
    for partition in range(PARTITIONS):
        case.hear(partition, persons=11, templates=22)
    (told,), _ = case.tick()
    assert isinstance(told, Emit)
    again = Case()
    again.state = again.stage.replay(again.state, received(OPERATIONS, told.change))
    assert set(again.tick(NOON + timedelta(hours=1))[0]) == {Nudge(topic) for topic in ROLLED}


def test_what_was_read_is_deleted_every_two_seconds(case: Case) -> None:
    for moment in (NOON, NOON + PURGE_EVERY):
        assert [each for each in case.stage.tick(case.state, moment)[1] if isinstance(each, Purge)] == [
            Purge(DETECT),
            Purge(CONTROL),
        ]
    assert case.stage.tick(case.state, NOON + PURGE_EVERY)[1] == []


@given(st.lists(st.tuples(st.integers(0, PARTITIONS - 1), st.integers(0, 30), st.integers(0, 30)), max_size=12))
def test_it_is_done_exactly_when_nobody_can_be_behind(words: list[tuple[int, int, int]]) -> None:
    case = Case()
    case.ask(operation())
    case.see()
    newest: dict[int, tuple[int, int]] = {}
    finished = False
    for partition, persons, templates in words:
        case.hear(partition, persons=persons, templates=templates)
        newest[partition] = persons, templates
        finished = finished or (
            len(newest) == PARTITIONS and all(known[0] >= 11 and known[1] >= 22 for known in newest.values())
        )
        case.tick()
        assert (not case.state.waiting) == finished
