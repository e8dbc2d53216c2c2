"""What an audit says: one line for each thing that was looked at, and what follows from all of them."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

import msgspec

CONTROL = "control"  # the check that a store can be seen at all
IN_THE_CLEAR = "in the clear"  # a subject of that check which is no store


class Verdict(StrEnum):
    """What is known of one thing; an audit that cannot see says so, and claims nothing."""

    PASS = "PASS"  # noqa: S105 - a word of auditors
    PENDING = "PENDING"  # still there, and not yet due
    FAIL = "FAIL"
    BLIND = "BLIND"  # what must be there was not found: no other line of that store is worth anything
    CANNOT_TELL = "CANNOT TELL"


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing and its verdict; times are in seconds, `due` is when a pending thing must be gone."""

    check: str
    subject: str
    verdict: Verdict
    text: str
    bound: float | None = None
    measured: float | None = None
    due: datetime | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All lines of one audit, in the order in which they were found."""

    began: datetime
    ended: datetime
    lines: tuple[Line, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing failed and the audit was not blind; what it cannot tell is no failure."""
        return not any(line.verdict in (Verdict.FAIL, Verdict.BLIND) for line in self.lines)

    @property
    def seen(self) -> list[str]:
        """The stores of which the control says that they could be seen; of no other does it mean anything to pass."""
        return [line.subject for line in self._stores() if line.verdict is Verdict.PASS]

    @property
    def unseen(self) -> list[str]:
        """The stores that could not be seen, or not as a whole."""
        return [line.subject for line in self._stores() if line.verdict is not Verdict.PASS]

    def _stores(self) -> list[Line]:
        return [line for line in self.lines if line.check == CONTROL and line.subject != IN_THE_CLEAR]


def as_json(report: Report) -> str:
    """One object: when, `passed`, for which stores, and the lines."""
    whole = {"passed": report.passed, "seen": report.seen, "unseen": report.unseen}
    return msgspec.json.encode({**msgspec.to_builtins(report), **whole}).decode()


def in_words(report: Report) -> str:
    """The end of an audit in one line: whether it passed, for which stores, and which were not seen."""
    whole = "passed" if report.passed else "FAILED"
    seen = f"seen: {', '.join(report.seen) or 'no store'}"
    unseen = f"; not seen, or not as a whole: {', '.join(report.unseen)}" if report.unseen else ""
    return f"the audit {whole}; {seen}{unseen}"


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """What several verdicts come to."""
    order = (Verdict.FAIL, Verdict.BLIND, Verdict.CANNOT_TELL, Verdict.PENDING)
    return next((verdict for verdict in order if verdict in verdicts), Verdict.PASS)
