"""What an audit may put on the chain: a store is clean of an erasure, once its time is over and it could see."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.auditing.evidence import Evidence
from pipeline.auditing.findings import findings
from pipeline.auditing.receipted import Receipted
from pipeline.auditing.report import Line, Verdict
from pipeline.erasing.bounds import KEY_STORE, MILVUS, Bound
from pipeline.operations.erasures import Erased
from pipeline.records import Verified
from pipeline.topology import TOPICS, Deployment
from tests.pipeline.examples import NOON, seconds

NAMES = ("identifications", "memberships", "operations", "collections", "persons", "templates", "commands")
BOUNDS = [
    *(Bound(name, 300.0, "settings") for name in NAMES),
    Bound("frames", 126.0, "settings"),
    Bound(MILVUS, 3600.0, "rebuilt"),
    Bound(KEY_STORE, 5.0, "leased"),
]
DEPLOYMENT = Deployment(prefix="north-")
PERSON, KID = "e2a4c7de-0a2c-4c3b-b0c1-5f2b8e6a9d10", "0123456789abcdef" * 2


def line(check: str, subject: str, verdict: Verdict = Verdict.PASS) -> Line:
    return Line(check=check, subject=subject, verdict=verdict, text="")


KEYS = [line("keys", "file, keys.sqlite"), line("keys", "receipts"), line("keys", "root key by file")]
CONTROL = [line("control", each) for each in (*NAMES, MILVUS, KEY_STORE, "in the clear")]
KAFKA = [line("kafka", f"north-{topic.name}") for topic in TOPICS]
LINES = [*CONTROL, *KAFKA, line("files", "milvus"), *KEYS]
ALL = {*NAMES, KEY_STORE}


def erased(**changes: object) -> Erased:
    known = Erased(id="e0", kind="person", subject=PERSON, requested=NOON, effective=NOON, keys=("0f",), signed=True)
    return replace(known, **changes)  # type: ignore[arg-type]


def evidence(*known: Erased, after: float = 301, **changes: object) -> Evidence:
    """What an audit has seen so many seconds after noon, when all these erasures destroyed the one key."""
    told = Receipted(known, {each.id: frozenset({KID}) if each.keys else frozenset() for each in known}, {})
    found = Evidence(NOON + timedelta(seconds=after), told, BOUNDS, frozenset(NAMES), {}, "file, keys.sqlite")
    return replace(found, **changes)  # type: ignore[arg-type]


def stores(lines: list[Line], seen: Evidence) -> set[str]:
    return {found.store for found in findings(lines, seen, DEPLOYMENT)}


def without(*gone: Line) -> list[Line]:
    return [each for each in LINES if each not in gone]


def test_a_store_is_told_clean_once_its_bound_is_over() -> None:
    assert stores(LINES, evidence(erased(), after=5)) == set()
    assert stores(LINES, evidence(erased(), after=300)) == {KEY_STORE}
    assert stores(LINES, evidence(erased(), after=301)) == ALL
    assert stores(LINES, evidence(erased(), after=3601)) == {*ALL, MILVUS}
    told = findings(LINES, evidence(erased()), DEPLOYMENT)
    assert {(each.erasure, each.at, each.clean, each.seconds) for each in told} == {
        ("e0", NOON + seconds(301), True, 301.0)
    }
    assert all("every record" not in each.how for each in told)


def test_what_was_told_is_not_told_again() -> None:
    known = Verified(erasure="e0", store="persons", at=NOON, clean=True, seconds=1.0, how="h")
    assert stores(LINES, evidence(erased(verified=(known,)))) == ALL - {"persons"}


@pytest.mark.parametrize(
    ("lines", "changes"),
    [
        ([*LINES, line("control", "templates", Verdict.BLIND)], {}),
        (LINES, {"effective": None}),
        (LINES, {"signed": False}),
        (LINES, {"keys": ()}),
    ],
    ids=["blind", "not done", "unsigned", "by no key"],
)
def test_nothing_at_all_is_told(lines: list[Line], changes: dict[str, object]) -> None:
    assert stores(lines, evidence(erased(**changes))) == set()


@pytest.mark.parametrize(
    "lines",
    [
        without(line("control", "persons")),
        [*without(line("control", "persons")), line("control", "persons", Verdict.CANNOT_TELL)],
        [*LINES, line("kafka", "north-persons", Verdict.FAIL)],
        [*without(line("kafka", "north-persons")), line("kafka", "north-persons", Verdict.CANNOT_TELL)],
        [*without(line("kafka", "north-persons")), line("kafka", "south-persons")],
    ],
    ids=["uncontrolled", "nobody to look for", "left by the cleaner", "unread", "another deployment"],
)
def test_of_a_topic_nothing_is_told_that_was_not_seen(lines: list[Line]) -> None:
    assert stores(lines, evidence(erased())) == ALL - {"persons"}


def test_of_a_topic_with_a_replica_that_was_not_read_nothing_is_told() -> None:
    assert stores(LINES, evidence(erased(), whole=frozenset({"persons", "frames"}))) == {"persons", KEY_STORE}
    assert stores(LINES, evidence(erased(), whole=frozenset())) == {KEY_STORE}


def test_what_is_not_yet_due_speaks_against_its_own_erasure_alone() -> None:
    lines = [*without(line("kafka", "north-persons")), line("kafka", "north-persons", Verdict.PENDING)]
    first, second = erased(), erased(id="e1", subject=PERSON.replace("e2", "e3"))
    told = Receipted((first, second), {"e0": frozenset({KID}), "e1": frozenset({"f" * 32})}, {})
    for name in (KID, PERSON):
        seen = evidence(told=told, waiting={"persons": {name}})
        found = findings(lines, seen, DEPLOYMENT)
        assert {each.store for each in found if each.erasure == "e0"} == ALL - {"persons"}
        assert {each.store for each in found if each.erasure == "e1"} == ALL


def test_of_an_erasure_whose_keys_the_store_does_not_know_nothing_is_told() -> None:
    assert stores(LINES, evidence(told=Receipted((erased(),), {}, {}))) == set()


def test_the_key_store_is_not_clean_of_a_key_that_lives_or_that_nobody_could_look_for() -> None:
    revived = Receipted((erased(),), {"e0": frozenset({KID})}, {KID: erased()})
    assert stores(LINES, evidence(told=revived)) == ALL - {KEY_STORE}
    for gone in (line("keys", "file, keys.sqlite"), line("control", KEY_STORE)):
        assert stores(without(gone), evidence(erased())) == ALL - {KEY_STORE}
        failed = [*without(gone), line(gone.check, gone.subject, Verdict.FAIL)]
        assert stores(failed, evidence(erased())) == ALL - {KEY_STORE}


def test_an_id_that_is_not_searched_for_is_told_of_no_topic() -> None:
    assert stores(LINES, evidence(erased(subject="p0"), after=3601)) == {MILVUS, KEY_STORE}


def test_the_outcomes_of_a_collections_persons_are_not_searched_and_not_told() -> None:
    assert stores(LINES, evidence(erased(kind="collection"))) == ALL - {"operations"}


def test_an_audit_that_has_not_begun_tells_nothing() -> None:
    assert findings(LINES, Evidence(), DEPLOYMENT) == []
