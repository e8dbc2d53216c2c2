"""What an audit has shown of each erasure that has its receipt: that a store is clean of it."""

from collections.abc import Iterator, Mapping, Sequence

from pipeline.auditing import kafka_files, keys, leftovers
from pipeline.auditing.evidence import Evidence
from pipeline.auditing.report import CONTROL, Line, Verdict
from pipeline.auditing.sought import NAMING, is_sought
from pipeline.erasing.bounds import KEY_STORE, MILVUS
from pipeline.operations.erasures import Erased
from pipeline.records import Verified
from pipeline.topology import OPERATIONS, TOPICS, Deployment

# What is still there is then not yet due, and speaks against the erasures alone to which it belongs.
CLEAN = frozenset({Verdict.PASS, Verdict.PENDING})
IN_KAFKA = (
    "the segment files of every replica were searched for the ids of its destroyed keys and of what was erased: no "
    "record is sealed with the former or has the latter, but for tombstones, whose key it may be"
)
IN_MILVUS = "every file of its folder was searched for the ids of its destroyed keys: none has one"
IN_KEYS = "every key that it destroyed is there as destroyed and overwritten: none lives, and none unwraps"


def findings(lines: Sequence[Line], evidence: Evidence, deployment: Deployment) -> list[Verified]:
    """For each erasure and each store that was searched and is clean, once the bound is over; never twice the same.

    Nothing where the audit was blind: what it did not find may be there. Nothing of an erasure whose keys are not all
    known to the store, or that destroyed none, as that of one face of a person: it is by keys that is searched.
    """
    if evidence.at is None or any(line.verdict is Verdict.BLIND for line in lines):
        return []
    clean = _clean(lines, evidence, deployment)
    promised = {bound.store: bound.seconds for bound in evidence.bounds if bound.seconds is not None}
    still_there = {store: evidence.told.holding(_left(evidence, store)) for store in clean}
    found = []
    for each in evidence.told.erased:
        if each.effective is None or not each.signed or not evidence.told.kids.get(each.id):
            continue
        seconds = (evidence.at - each.effective).total_seconds()
        known = {verified.store for verified in each.verified if verified.clean}
        found += [
            Verified(erasure=each.id, store=store, at=evidence.at, clean=True, seconds=seconds, how=clean[store])
            for store in clean.keys() & promised.keys() - known
            if seconds > promised[store] and each.id not in still_there[store] and _is_searched(each, store)
        ]
    return sorted(found, key=lambda verified: (verified.erasure, verified.store))


def _left(evidence: Evidence, store: str) -> set[str]:
    """The ids that still stand in a store: those of the keys of an erasure must not live in theirs."""
    return evidence.waiting.get(store, set()) | (evidence.told.revived.keys() if store == KEY_STORE else set())


def _is_searched(each: Erased, store: str) -> bool:
    """Whether all that an erasure removed from a store was searched for there."""
    if store == OPERATIONS.name and each.kind == "collection":
        # It has the outcomes of its persons' enrolments, too, and the receipt does not name these persons.
        return False
    return store not in NAMING or is_sought(each.subject)


def _clean(lines: Sequence[Line], evidence: Evidence, deployment: Deployment) -> Mapping[str, str]:
    """The stores that were seen to be clean, and how."""
    return {
        store: how
        for store, how, check, subject in _stores(evidence, deployment)
        if _verdicts(lines, CONTROL, store) == {Verdict.PASS}
        and (verdicts := _verdicts(lines, check, subject))
        and verdicts <= CLEAN
    }


def _stores(evidence: Evidence, deployment: Deployment) -> Iterator[tuple[str, str, str, str]]:
    """Every store that may be spoken of, and the check and subject of the lines on what was found there."""
    for topic in TOPICS:
        if topic.name in NAMING & evidence.whole:
            yield topic.name, IN_KAFKA, kafka_files.CHECK, deployment.name(topic)
    yield MILVUS, IN_MILVUS, leftovers.CHECK, leftovers.MILVUS_PART
    yield KEY_STORE, IN_KEYS, keys.CHECK, evidence.key_store


def _verdicts(lines: Sequence[Line], check: str, subject: str) -> set[Verdict]:
    return {line.verdict for line in lines if (line.check, line.subject) == (check, subject)}
