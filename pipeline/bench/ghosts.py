"""The judge of deletions: whom a reader of committed records saw named after it was said that nobody names them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from pipeline.changes import Put, Tombstone
from pipeline.codec import Received
from pipeline.records import Watermark
from pipeline.topology import GATE, IDENTIFICATIONS, Topic

JUDGED: tuple[Topic, ...] = (IDENTIFICATIONS, GATE)


@dataclass(frozen=True, slots=True)
class Word:
    """A record of `identifications` where it stood; a tombstone has no `revision`, and names no `person`."""

    track: str
    person: str | None
    revision: int | None
    partition: int
    offset: int
    appended_at: datetime


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """When the caller heard that a deletion is done, and the committed ends of `identifications` read right after.

    A record that was appended earlier and is committed only then stands behind those ends: readers see it afterwards.
    """

    at: datetime
    ends: Mapping[int, int]

    def is_before(self, word: Word) -> bool:
        """Whether a reader could see this word only after the acknowledgement."""
        return word.appended_at > self.at or word.offset >= self.ends[word.partition]


@dataclass(slots=True)
class Judge:
    """Fed with every record of `JUDGED` in its order, and with every acknowledgement. Times are the broker's own.

    `fences` counts how often a partition was taken over from its owner.
    """

    words: dict[str, list[Word]] = field(default_factory=lambda: defaultdict(list))
    acknowledged: dict[str, Acknowledged] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)
    fences: int = 0
    _owners: dict[int, str] = field(default_factory=dict)

    def take(self, received: Received) -> None:
        """Learn from one record; those of other topics are not for us."""
        match received.change:
            case Put(value=Watermark(by=owner)):
                self.fences += owner == "erase" and self._owners.get(received.partition) != owner
                self._owners[received.partition] = owner
            case Tombstone() if received.topic is IDENTIFICATIONS:
                self._hear(received, None, None)
            case Put(value=told) if received.topic is IDENTIFICATIONS:
                self._hear(received, told.person_id, told.revision)
            case _:
                pass

    def _hear(self, received: Received, person: str | None, revision: int | None) -> None:
        track = received.change.key
        word = Word(track, person, revision, received.partition, received.offset, received.appended_at)
        self.words[track].append(word)
        if person is not None:
            self.named.add(person)

    def acknowledge(self, person: str, acknowledged: Acknowledged) -> None:
        """The caller was told that this person is gone."""
        self.acknowledged[person] = acknowledged

    def ghosts(self) -> list[Word]:
        """Identifications that name somebody whose deletion had been acknowledged."""
        return [word for word, _, gone in self._of_the_gone() if gone.is_before(word)]

    def kept(self) -> list[Word]:
        """Identifications from before an acknowledgement that were not taken back, or overwritten, by then."""
        return [
            word
            for word, following, gone in self._of_the_gone()
            if not gone.is_before(word) and (following is None or following.appended_at > gone.at)
        ]

    def last_words(self) -> list[Word]:
        """What names somebody who is gone, and is the last that is known of a track."""
        return [word for word, following, _ in self._of_the_gone() if following is None]

    def _of_the_gone(self) -> Iterator[tuple[Word, Word | None, Acknowledged]]:
        """Every word that named somebody who is gone by now, with what was said of its track next."""
        for words in self.words.values():
            for word, following in pairwise([*words, None]):
                if word is not None and word.person is not None and word.person in self.acknowledged:
                    yield word, following, self.acknowledged[word.person]

    def duplicated(self) -> int:
        """How often a track was told again in the same or an older revision, although nothing had been taken back."""
        return sum(
            before.revision is not None and after.revision is not None and after.revision <= before.revision
            for words in self.words.values()
            for before, after in pairwise(words)
        )
