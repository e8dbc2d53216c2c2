"""One screen about an erasure, for whoever has to answer for it."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from textwrap import wrap

from pipeline.records import AuditEntry, Bound, Passed, Receipt, Span, Verified

LABEL, TEXT = 12, 106  # columns
# In the order in which they matter to a person.
COUNTED = ("persons", "templates", "memberships", "collections")


def page(entries: Sequence[AuditEntry], checked: str) -> str:
    """Lines of `label  text` about a receipt's entry and those that verified its erasure; `checked` is the verdict.

    ValueError where the first entry is no receipt.
    """
    first = entries[0]
    if not isinstance(first.event, Receipt):
        raise ValueError("the first entry is no receipt")  # noqa: TRY004 - a type of record, not of Python
    told: list[tuple[str, Iterator[str]]] = [
        ("erasure", iter((first.event.erasure,))),
        *_what(first.event),
        ("tombstones", map(_span, first.event.tombstones)),
        ("identify", _all_passed(first.event)),
        ("bounds", map(_bound, first.event.bounds)),
        ("verified", (_verified(each.event) for each in entries if isinstance(each.event, Verified))),
        ("entry", iter((_place(first),))),
        ("signature", iter((checked,))),
    ]
    return "\n".join(line for label, texts in told for line in _lines(label, list(texts)))


def _lines(label: str, texts: Sequence[str]) -> Iterator[str]:
    wrapped = [line for text in texts or ["none"] for line in wrap(_printable(text), TEXT, subsequent_indent="  ")]
    for number, line in enumerate(wrapped):
        yield f"{label if number == 0 else '':<{LABEL}}{line}"


def _printable(text: str) -> str:
    """Whoever asked for an erasure chose some of these words: they must not draw lines of their own on the screen."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def _what(receipt: Receipt) -> Iterator[tuple[str, Iterator[str]]]:
    after = (receipt.effective - receipt.requested).total_seconds()
    yield "erased", iter((f"{receipt.kind} {receipt.subject}",))
    yield "requested", iter((f"{moment(receipt.requested)} by {receipt.principal}",))
    yield "effective", iter((f"{moment(receipt.effective)}, {after:.3f} s later: nothing names it from then on",))
    yield "counts", iter((_counts(receipt.counts),))
    yield "keys", iter([f"destroyed: {each}" for each in receipt.keys])


def _counts(counts: Mapping[str, int]) -> str:
    names = sorted(counts, key=lambda name: (COUNTED.index(name) if name in COUNTED else len(COUNTED), name))
    return ", ".join(f"{counts[name]} {name}" for name in names) or "nothing was there"


def _span(span: Span) -> str:
    where = f"offset {span.first}" if span.first == span.last else f"offsets {span.first} to {span.last}"
    return f"{span.topic}/{span.partition}: {span.count} at {where}"


def _all_passed(receipt: Receipt) -> Iterator[str]:
    concerned = {f"{span.topic}/{span.partition}" for span in receipt.tombstones}
    for passed in receipt.passed:
        yield _passed(passed, {name: passed.positions[name] for name in sorted(concerned & passed.positions.keys())})


def _passed(passed: Passed, concerned: Mapping[str, int]) -> str:
    """One partition, in one line: a fleet has many. Of what it has read, only where this erasure has tombstones."""
    others = len(passed.positions) - len(concerned)
    seen = [f"{name} before {offset}" for name, offset in concerned.items()]
    seen += [f"{others} others"] if others else []
    how = "fenced, can write no more," if passed.fenced else "watermark"
    time = moment(passed.at).partition(" ")[2]  # the day is that of the request, or the one after
    return f"partition {passed.partition}: {how} {time}; has read {', '.join(seen) or 'nothing'}"


def _bound(bound: Bound) -> str:
    within = "no promise" if bound.seconds is None else f"within {span_of(bound.seconds)}"
    return f"{bound.store}: {within} ({bound.why})"


def _verified(found: Verified) -> str:
    state = "clean" if found.clean else "NOT CLEAN"
    return f"{found.store}: {state} after {span_of(found.seconds)}, {moment(found.at)}: {found.how}"


def _place(entry: AuditEntry) -> str:
    return f"{entry.sequence} of chain {entry.chain}, {moment(entry.at)}, by key {entry.signer}"


def moment(time: datetime) -> str:
    """A time to the millisecond, in UTC."""
    return f"{time:%Y-%m-%d %H:%M:%S}.{time.microsecond // 1000:03d} UTC"


def span_of(seconds: float) -> str:
    """A duration as a person says it: `0.25 s`, `6 min 36 s`, `6 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    whole = timedelta(seconds=round(seconds))
    hours, minutes, rest = whole // timedelta(hours=1), whole.seconds // 60 % 60, whole.seconds % 60
    parts = [(hours, "h"), (minutes, "min"), (0 if hours else rest, "s")]
    return " ".join(f"{number} {unit}" for number, unit in parts if number)
