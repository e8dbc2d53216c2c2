"""What an audit says: one line for each thing that was looked at, and what follows from all of them."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

import msgspec


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


def as_json(report: Report) -> str:
    """One object: when, `passed`, and the lines."""
    return msgspec.json.encode({**msgspec.to_builtins(report), "passed": report.passed}).decode()


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """What several verdicts come to."""
    order = (Verdict.FAIL, Verdict.BLIND, Verdict.CANNOT_TELL, Verdict.PENDING)
    return next((verdict for verdict in order if verdict in verdicts), Verdict.PASS)
