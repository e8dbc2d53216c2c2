"""The other files: Milvus's, logs, state, whatever else lies in the home; no deleted person may be in them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from pipeline.auditing.files import Find, Looked, looked
from pipeline.auditing.report import Line, Verdict
from pipeline.erasing.bounds import Bound
from pipeline.erasing.encodings import Vector, forms
from pipeline.erasing.search import Needle, Search

CHECK = "files"
MILVUS_PART = "milvus"
EXAMPLES = 3


@dataclass(slots=True)
class Seen:
    """What was seen in one part of the files; `waiting` are ids that still stand there and are not yet due."""

    files: int = 0
    size: int = 0
    unread: list[str] = field(default_factory=list)
    given: list[Find] = field(default_factory=list)
    overdue: list[Find] = field(default_factory=list)
    due: float = 0.0
    waiting: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Looks through the home for ids of destroyed keys, and through all folders for vectors that somebody gives.

    `kafka` and `keys` are searched for those vectors alone: records are read one by one, and the key store remembers
    the ids of what it destroyed.
    """

    home: Path
    milvus: Path
    kafka: Sequence[Path]
    keys: Path
    bound: Bound
    given: Mapping[str, Vector]

    def searched(self, destroyed: Mapping[str, float], now: datetime) -> Mapping[str, Seen]:
        """What was seen in each part of the files; Milvus's rows carry the ids of their keys, and have its bound."""
        vectors = [
            Needle(f"{name} as {form}", text)
            for name, vector in self.given.items()
            for form, text in forms(vector).items()
        ]
        ids = [Needle(kid, kid.encode()) for kid in destroyed]
        apart = (*self.kafka, self.keys)
        parts: dict[str, Seen] = defaultdict(Seen)
        for each in looked(self.home, Search([*ids, *vectors]), apart):
            self._add(parts[self._part(each.path)], each, destroyed, now.timestamp())
        if vectors:
            for folder in apart:
                for each in looked(folder, Search(vectors)):
                    self._add(parts["Kafka" if folder in self.kafka else "keys"], each, destroyed, now.timestamp())
        return parts

    def lines(self, parts: Mapping[str, Seen]) -> Iterator[Line]:
        """A line for each part."""
        for name, seen in sorted(parts.items()):
            yield self._line(name, seen)

    def _part(self, path: Path) -> str:
        below = path.relative_to(self.home).parts
        # Milvus Lite keeps its log beside its folder.
        return below[0] if len(below) > 1 else MILVUS_PART if below[0].startswith("milvus.") else "the home itself"

    def _add(self, seen: Seen, each: Looked, destroyed: Mapping[str, float], now: float) -> None:
        seen.files += 1
        seen.size += each.size
        seen.unread += [f"{each.path}: {each.unread}"] if each.unread else []
        for find in each.finds:
            if find.name not in destroyed:
                seen.given.append(find)
                continue
            allowed = self.bound.seconds if each.path.is_relative_to(self.milvus) else 0
            due = None if allowed is None else destroyed[find.name] + allowed
            if due is None or due < now:
                seen.overdue.append(find)
            else:
                seen.due = max(seen.due, due)
                seen.waiting.add(find.name)

    def _line(self, name: str, seen: Seen) -> Line:
        counted = f"{seen.files} files, {seen.size / 1e6:.1f} MB"
        faults = [
            *_shown(seen.given, "a given canary"),
            *_shown(seen.overdue, "the id of a destroyed key, and what stands beside it"),
        ]
        if faults:
            cure = f"; {self.bound.why}" if seen.overdue and name == MILVUS_PART else ""
            text = f"{counted}; {'; '.join(faults)}{cure}"
            return Line(check=CHECK, subject=name, verdict=Verdict.FAIL, text=text)
        if seen.unread:
            text = f"{counted}; not to be read: {'; '.join(seen.unread[:EXAMPLES])}"
            return Line(check=CHECK, subject=name, verdict=Verdict.CANNOT_TELL, text=text)
        if seen.due:
            due = datetime.fromtimestamp(seen.due, UTC)
            text = f"{counted}; rows of destroyed keys, the last due {due.astimezone():%Y-%m-%d %H:%M:%S}"
            return Line(check=CHECK, subject=name, verdict=Verdict.PENDING, text=text, due=due)
        return Line(check=CHECK, subject=name, verdict=Verdict.PASS, text=f"{counted}; nothing of a destroyed key")


def _shown(finds: Sequence[Find], what: str) -> Iterable[str]:
    if finds:
        examples = "; ".join(f"{find.name} in {find.path}, {find.where}" for find in finds[:EXAMPLES])
        yield f"{len(finds)} times {what}: {examples}"
