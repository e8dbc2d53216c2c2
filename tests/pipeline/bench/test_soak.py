"""When a deletion counts as undisturbed, and what makes a soak unsound."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.balance import Balance
from pipeline.bench.blows import AFTERMATH, EVERY, HANG, Blow, Struck, company
from pipeline.bench.forgetting import Deletion
from pipeline.bench.receipted import Receipted
from pipeline.bench.soak import Soak
from pipeline.topology import STAGES
from tests.pipeline.examples import NOON, seconds

HUNG = Struck(HANG, NOON, NOON + seconds(10), 4.0)
KILLED = Struck(Blow("erase"), NOON + seconds(20), NOON + seconds(25), 5.0)
SOUND = Soak(
    seconds=60.0,
    deletions=(Deletion("o0", "p0", NOON + seconds(40), NOON + seconds(40.2)),),
    struck=(HUNG, KILLED),
    balance=Balance(sampled=10, processed=9, gaps=1),
    faces=2,
    unidentified=0,
    identifications=2,
    duplicated=0,
    ghosts=0,
    kept=0,
    seen=1,
    asked=1,
    unanswered=0,
    fences=1,
    receipts=Receipted(1, 0, 0),
)


def test_every_stage_is_struck_and_broker_and_milvus_and_identify_hangs() -> None:
    assert {blow.process for blow in EVERY} == {*STAGES, "kafka", "milvus"}
    assert HANG in EVERY


@pytest.mark.parametrize(
    ("began", "ended", "expected"),
    [(-5, -1, "none"), (-1, 1, "hung"), (11, 12, "hung"), (14, 19, "none"), (9, 21, "down"), (26, 27, "down")],
)
def test_a_deletion_keeps_company_with_every_blow_that_is_still_felt(began: int, ended: int, expected: str) -> None:
    assert company((HUNG, KILLED), NOON + seconds(began), NOON + seconds(ended)) == expected


def test_a_blow_is_felt_for_a_while_after_it_is_made_up_for() -> None:
    assert company((KILLED,), KILLED.ended + AFTERMATH, KILLED.ended + AFTERMATH) == "down"
    later = KILLED.ended + AFTERMATH + timedelta(milliseconds=1)
    assert company((KILLED,), later, later) == "none"


@pytest.mark.parametrize("fault", ["unidentified", "duplicated", "ghosts", "kept", "unanswered"])
def test_one_fault_of_any_kind_is_unsound(fault: str) -> None:
    assert SOUND.sound
    assert not replace(SOUND, **{fault: 1}).sound  # type: ignore[arg-type]


@pytest.mark.parametrize("receipts", [Receipted(1, 1, 0), Receipted(1, 0, 1), Receipted(1, 0, 0, "entry 3 is missing")])
def test_a_deletion_without_its_one_receipt_is_unsound(receipts: Receipted) -> None:
    assert not replace(SOUND, receipts=receipts).sound


def test_a_run_in_which_nobody_was_named_proves_nothing() -> None:
    assert not replace(SOUND, seen=0).sound


def test_a_slow_acknowledgement_misses_its_goal_and_is_sound() -> None:
    slow = replace(SOUND, deletions=(Deletion("o0", "p0", NOON + seconds(40), NOON + seconds(42)),))
    assert slow.sound
    assert [row.met for row in slow.rows() if "without faults" in row.what] == [False, False, None]
    assert [row.met for row in SOUND.rows() if "without faults" in row.what] == [True, True, None]
