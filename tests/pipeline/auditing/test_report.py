"""What an audit comes to: whether it passed, and for which stores."""

import json

from pipeline.auditing.report import Line, Report, Verdict, as_json, in_words
from tests.pipeline.examples import NOON


def report(*lines: tuple[str, str, Verdict]) -> Report:
    told = tuple(Line(check=check, subject=subject, verdict=verdict, text="") for check, subject, verdict in lines)
    return Report(began=NOON, ended=NOON, lines=told)


CLEAR = ("control", "in the clear", Verdict.PASS)
SOME = report(
    ("control", "persons", Verdict.PASS),
    ("control", "key store", Verdict.PASS),
    ("control", "Milvus", Verdict.CANNOT_TELL),
    CLEAR,
    ("kafka", "persons", Verdict.PENDING),
)


def test_it_passes_for_the_stores_that_it_saw() -> None:
    assert SOME.passed
    assert in_words(SOME) == "the audit passed; seen: persons, key store; not seen, or not as a whole: Milvus"
    told = json.loads(as_json(SOME))
    assert (told["passed"], told["seen"], told["unseen"]) == (True, ["persons", "key store"], ["Milvus"])


def test_what_failed_and_what_was_blind_did_not_pass() -> None:
    failed = report(("control", "persons", Verdict.PASS), ("kafka", "persons", Verdict.FAIL))
    assert in_words(failed) == "the audit FAILED; seen: persons"
    blind = report(("control", "every store", Verdict.BLIND), CLEAR)
    assert in_words(blind) == "the audit FAILED; seen: no store; not seen, or not as a whole: every store"
