"""The promises, checked on what readers of committed records can see, as it becomes visible.

I1 every face of a camera is accounted for. I2 a revision of a track is told once. I3 nobody is named whose deletion was
acknowledged, and what had named them is withdrawn by then. I4 whoever is enrolled and passes is named. I5 the key goes
before the tombstone, and nothing it sealed opens again. I6 a deletion reaches every topic that knew of the person. I7
every command has its outcome, no deletion is passed over, and each that was carried out has one receipt. I8 nobody is
identified by a face that has lived as long as it was given, whatever the clocks say.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pipeline.bench.simulation.log import Entry, Partition
from pipeline.changes import Change, Put
from pipeline.codec import decode
from pipeline.records import (
    AuditEntry,
    Command,
    DeadLetter,
    Deletion,
    Face,
    Identification,
    Operation,
    Person,
    Receipt,
    Template,
)
from pipeline.topology import (
    AUDIT,
    COMMANDS,
    DEAD_LETTERS,
    FACES,
    IDENTIFICATIONS,
    OPERATIONS,
    PERSONS,
    TEMPLATES,
    Topic,
)

WATCHED = {
    topic.name: topic
    for topic in (FACES, IDENTIFICATIONS, PERSONS, TEMPLATES, DEAD_LETTERS, COMMANDS, OPERATIONS, AUDIT)
}
Place = tuple[int, int]
# How long after its end a face of a healthy world may be there: the expire stage looks now and then.
TOMBSTONE = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Shown:
    """A face as a camera showed it: `opens` is false where its template was moved here from another record."""

    face: Face
    place: Place
    opens: bool


@dataclass
class Checker:
    """`strict` holds I3 to the acknowledgement; else to the moment when the world has come to rest."""

    key_lives: Callable[[str], bool]
    saw: Callable[[str], None]
    strict: bool = True
    broken: list[str] = field(default_factory=list)
    last: dict[str, Identification] = field(default_factory=dict)
    deletions: int = 0
    acknowledged: int = 0
    named: int = 0
    ghosts: int = 0
    moved: set[str] = field(default_factory=set)
    overtaken: set[Place] = field(default_factory=set)
    retired: dict[int, int] = field(default_factory=dict)
    _ends: dict[str, datetime] = field(default_factory=dict)
    _shown: dict[str, Shown] = field(default_factory=dict)
    _revisions: dict[str, int] = field(default_factory=lambda: defaultdict(lambda: -1))
    _highest: dict[str, int] = field(default_factory=lambda: defaultdict(lambda: -1))
    _dead: set[Place] = field(default_factory=set)
    _persons: dict[str, Person] = field(default_factory=dict)
    _templates: dict[str, Template] = field(default_factory=dict)
    _alive: dict[str, set[str]] = field(default_factory=lambda: {name: set() for name in WATCHED})
    gone: set[str] = field(default_factory=set)
    _asked: dict[Place, Command] = field(default_factory=dict)
    _outcomes: dict[str, Operation] = field(default_factory=dict)
    _receipts: Counter[str] = field(default_factory=Counter)

    def heard(self, partition: Partition, entries: Iterable[Entry]) -> None:
        """What has just become visible."""
        topic = WATCHED.get(partition.topic)
        for entry in entries if topic is not None else ():
            change = decode(topic, entry.key, entry.value, entry.headers)  # type: ignore[arg-type]
            self._take(topic, change, (partition.number, entry.offset))  # type: ignore[arg-type]

    def _take(self, topic: Topic, change: Change[object], place: Place) -> None:
        alive = self._alive[topic.name]
        (alive.add if isinstance(change, Put) else alive.discard)(change.key)
        match change:
            case Put(key=track, value=Identification() as told):
                self._hear(track, told)
            case Put(key=face_id, value=Face() as face):
                self._shown.setdefault(face_id, Shown(face, place, face_id not in self.moved))
            case Put(value=DeadLetter(topic=FACES.name) as letter):
                self._dead.add((letter.partition, letter.offset))
            case Put(value=DeadLetter(topic=COMMANDS.name) as letter):
                command = self._asked.get((letter.partition, letter.offset))
                if isinstance(command, Deletion):
                    self._break(f"I7: the deletion {command.operation_id} is passed over")
            case Put(value=Command() as command):
                self._asked[place] = command
            case Put(value=Operation() as operation):
                self._outcomes[operation.operation_id] = operation
            case Put(value=AuditEntry(event=Receipt(erasure=erasure))):
                self._receipts[erasure] += 1
            case Put(key=person_id, value=Person() as person):
                self._persons[person_id] = person
            case Put(key=key, value=Template() as template):
                self._templates[key] = template
            case _ if topic is IDENTIFICATIONS:
                self.last.pop(change.key, None)
                self._revisions[change.key] = -1

    def _hear(self, track: str, told: Identification) -> None:
        if told.revision <= self._revisions[track]:
            self._break(f"I2: revision {told.revision} of {track} after revision {self._revisions[track]}")
        self._revisions[track] = told.revision
        self._highest[track] = max(self._highest[track], told.revision)
        self.last[track] = told
        if told.person_id is None:
            return
        self.named += 1
        if told.person_id in self.gone and self.strict:
            self.ghosts += 1
            self._break(f"I3: {track} names {told.person_id} after the acknowledgement")
        shown = self._shown.get(told.face_id)
        if shown is not None and not shown.opens:
            self._break(f"I5: {track} was identified by a template that belongs to another face")

    def appended(self, partition: Partition, key: bytes | None, value: bytes | None) -> None:
        """What is being written, long before anybody sees it."""
        if partition.topic == PERSONS.name and value is None and key is not None:
            person = self._persons.get(key.decode())
            if person is not None and self.key_lives(person.kid):
                self._break(f"I5: the tombstone of {person.person_id} is written before the key is destroyed")

    def may_live(self, face_id: str, now: datetime, seconds: int) -> None:
        """A face is issued, to live so long from now on."""
        self._ends[face_id] = now + timedelta(seconds=seconds)

    def decided(self, face_id: str, now: datetime) -> None:
        """An identification is being made of a face, at this true time."""
        late = now - self._ends[face_id]
        if late >= timedelta(0):
            self._break(f"I8: face {face_id} is identified {late.total_seconds():.1f} s after its end")

    def of_collection(self, uid: str) -> list[str]:
        """Everybody who was ever seen in a collection."""
        return [person for person, known in self._persons.items() if known.collection == uid]

    def acknowledge(self, persons: Iterable[str]) -> None:
        """Somebody was told that these are gone."""
        gone = set(persons)
        for person in gone:
            if person in self._persons and self.key_lives(self._persons[person].kid):
                self._break(f"I5: the key of {person} lives when the deletion is acknowledged")
        self.gone |= gone
        self.acknowledged += 1
        if not self.strict:
            return
        for track, told in self.last.items():
            if told.person_id in gone:
                self.ghosts += 1
                self._break(f"I3: {track} still names {told.person_id} when the deletion is acknowledged")

    def rest(self, now: datetime) -> None:
        """Everything was said; what must hold in the end?"""
        self._check_faces(now)
        for track, told in self.last.items():
            if told.person_id in self.gone:
                self.ghosts += not self.strict
                self._break(f"I3: {track} names {told.person_id} for ever")
        for person_id in sorted(self.gone):
            self._check_gone(person_id)
        for command in self._asked.values():
            self._check_answered(command.operation_id)

    def _check_faces(self, now: datetime) -> None:
        for face_id, shown in self._shown.items():
            shot = shown.face.shot
            if shot is None or not shown.opens or shown.place in self._dead | self.overtaken:
                continue
            if self._highest[shot.track_id] < shot.revision and shown.face.expires > now:
                self._break(f"I1: face {face_id} of {shot.track_id} was never accounted for")
            if shown.place[1] < self.retired.get(shown.place[0], 0):
                continue
            if shown.face.expires <= now - TOMBSTONE and face_id in self._alive[FACES.name]:
                self._break(f"I6: face {face_id} has expired and got no tombstone")

    def _check_gone(self, person_id: str) -> None:
        known = self._persons.get(person_id)
        left = [key for key in self._alive[TEMPLATES.name] if key.startswith(f"{person_id}/")]
        if person_id in self._alive[PERSONS.name] or left:
            self._break(f"I6: {person_id} is deleted, and has no tombstone on persons or templates")
        if known is not None and self.key_lives(known.kid):
            self._break(f"I5: the key of {person_id} lives on")

    def _check_answered(self, operation_id: str) -> None:
        outcome = self._outcomes.get(operation_id)
        if outcome is None or outcome.outcome == "erasing":
            self._break(f"I7: {operation_id} was asked for and has no outcome")
        elif outcome.erasure is not None and self._receipts[operation_id] != 1:
            self._break(f"I7: {self._receipts[operation_id]} receipts of the deletion {operation_id}")

    def expect_named(self, track: str, person: str) -> None:
        """I4, for a face that was shown to a healthy world long enough ago."""
        told = self.last.get(track)
        if told is None or told.person_id != person:
            self._break(f"I4: {track} passed and was not named")

    def _break(self, what: str) -> None:
        self.broken.append(what)
