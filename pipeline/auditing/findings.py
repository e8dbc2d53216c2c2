"""What an audit's lines say about each erasure that has its receipt: that a store is clean of it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from pipeline.auditing import canary
from pipeline.auditing.report import Line, Verdict
from pipeline.erasing.bounds import MILVUS, Bound
from pipeline.operations.erasures import Erased
from pipeline.records import Verified
from pipeline.topology import TOPICS, Deployment

# Still there is then only what is not yet due: what is older was looked for, and not found.
CLEAN = (Verdict.PASS, Verdict.PENDING)


def findings(
    lines: Sequence[Line], erased: Iterable[Erased], bounds: Iterable[Bound], deployment: Deployment, now: datetime
) -> list[Verified]:
    """For each erasure and each store that was searched and is clean, once the bound is over; never twice the same.

    Nothing where the audit was blind: what it did not find may be there. Nothing of an erasure that destroyed no key,
    as that of one face of a person: it is by destroyed keys that is searched.
    """
    if any(line.verdict is Verdict.BLIND for line in lines):
        return []
    clean = _clean(lines, deployment)
    promised = {bound.store: bound.seconds for bound in bounds if bound.seconds is not None}
    found = []
    for each in erased:
        known = {verified.store for verified in each.verified if verified.clean}
        for store in clean.keys() & promised.keys() - known:
            if each.effective is None or not each.signed or not each.shredded:
                continue
            seconds = (now - each.effective).total_seconds()
            if seconds > promised[store]:
                found.append(
                    Verified(erasure=each.id, store=store, at=now, clean=True, seconds=seconds, how=clean[store])
                )
    return sorted(found, key=lambda verified: (verified.erasure, verified.store))


def _clean(lines: Sequence[Line], deployment: Deployment) -> Mapping[str, str]:
    """The stores that were seen to be clean, and how."""
    controlled = {line.subject for line in lines if line.check == "control" and line.verdict is Verdict.PASS}
    verdicts = {(line.check, line.subject): line.verdict for line in lines}
    in_kafka = {topic.name for topic in canary.IN_KAFKA}
    clean = {}
    if controlled >= in_kafka:
        for topic in TOPICS:
            if verdicts.get(("kafka", deployment.name(topic))) in CLEAN:
                clean[topic.name] = "every record of its segment files was read; none is sealed with a destroyed key"
    if MILVUS in controlled and verdicts.get(("files", "milvus")) in CLEAN:
        clean[MILVUS] = "every file was searched for the ids of destroyed keys"
    return clean
