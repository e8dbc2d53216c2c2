"""What an audit may put on the chain: a store is clean of an erasure, once its time is over and it could see."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.auditing.findings import findings
from pipeline.auditing.report import Line, Verdict
from pipeline.erasing.bounds import MILVUS, Bound
from pipeline.operations.erasures import Erased
from pipeline.records import Verified
from pipeline.topology import Deployment
from tests.pipeline.examples import NOON, seconds

BOUNDS = [Bound("persons", 300.0, "settings"), Bound("faces", None, "none"), Bound(MILVUS, 3600.0, "rebuilt")]
DEPLOYMENT = Deployment(prefix="north-")
LATER = NOON + seconds(301)


def line(check: str, subject: str, verdict: Verdict = Verdict.PASS) -> Line:
    return Line(check=check, subject=subject, verdict=verdict, text="")


CONTROL = [line("control", each) for each in ("commands", "persons", "templates", MILVUS)]
LINES = [*CONTROL, line("kafka", "north-persons"), line("kafka", "north-faces"), line("files", "milvus")]


def erased(**changes: object) -> Erased:
    known = Erased(id="e0", kind="person", subject="p0", requested=NOON, effective=NOON, shredded=True, signed=True)
    return replace(known, **changes)  # type: ignore[arg-type]


def stores(lines: list[Line], each: Erased, after: float) -> list[str]:
    now = NOON + timedelta(seconds=after)
    return [found.store for found in findings(lines, [each], BOUNDS, DEPLOYMENT, now)]


def test_a_store_is_told_clean_once_its_bound_is_over() -> None:
    assert stores(LINES, erased(), 300) == []
    assert stores(LINES, erased(), 301) == ["persons"]
    assert stores(LINES, erased(), 3601) == [MILVUS, "persons"]
    (told,) = findings(LINES, [erased()], BOUNDS, DEPLOYMENT, LATER)
    assert (told.erasure, told.at, told.clean, told.seconds) == ("e0", LATER, True, 301.0)


def test_what_was_told_is_not_told_again() -> None:
    known = Verified(erasure="e0", store="persons", at=NOON, clean=True, seconds=1.0, how="h")
    assert stores(LINES, erased(verified=(known,)), 301) == []


@pytest.mark.parametrize(
    ("lines", "changes"),
    [
        ([*LINES, line("control", "templates", Verdict.BLIND)], {}),
        (LINES[1:], {}),
        ([*CONTROL, line("kafka", "north-persons", Verdict.FAIL)], {}),
        ([*CONTROL, line("kafka", "north-persons", Verdict.CANNOT_TELL)], {}),
        ([*CONTROL, line("kafka", "south-persons")], {}),
        (LINES, {"effective": None}),
        (LINES, {"signed": False}),
        (LINES, {"shredded": False}),
    ],
    ids=["blind", "uncontrolled", "not clean", "unread", "another deployment", "not done", "unsigned", "by no key"],
)
def test_nothing_is_told_that_was_not_seen(lines: list[Line], changes: dict[str, object]) -> None:
    assert stores(lines, erased(**changes), 301) == []


def test_what_is_not_yet_due_does_not_speak_against_what_is() -> None:
    assert stores([*CONTROL, line("kafka", "north-persons", Verdict.PENDING)], erased(), 301) == ["persons"]
