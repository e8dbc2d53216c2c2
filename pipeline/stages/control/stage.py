"""The one writer of the tables: checks what was asked for, writes what follows from it, and says how it ended."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pipeline.changes import Change, Put, Tombstone
from pipeline.codec import Received, Unusable
from pipeline.receipts import destroyed_keys
from pipeline.records import (
    AddCollection,
    AddFace,
    AddPerson,
    AnyCommand,
    ChangeMembers,
    DeleteCollection,
    DeleteFace,
    DeletePerson,
    Deletion,
    Erasure,
    FinishTraining,
    NoteFindings,
    Operation,
    TrainCollection,
    UpdateCollection,
    UpdateFace,
    UpdatePerson,
)
from pipeline.stages.contract import DestroyKeys, Emit, Output
from pipeline.stages.control import collections, faces, persons
from pipeline.stages.control.tables import Consequence, RefusedError, Tables
from pipeline.topology import CONTROL, OPERATIONS, Node, Topic

# As long as `operations` keeps them.
REMEMBERED = timedelta(hours=48)
SWEEP = timedelta(hours=1)
# So many records of a collection are forgotten at a time: other commands go between, and transactions stay short.
PORTION = 2_000
GIVEN_UP = "InternalServerError"
GIVEN_UP_WORDS = "control ended again and again over this command and has given it up: see its log and dead-letters"


@dataclass(frozen=True, slots=True)
class Control:
    """Commands in, tables and outcomes out, in one transaction; a repeated command finds its first outcome."""

    batch: int = 100
    portion: int = PORTION

    @property
    def node(self) -> Node:
        return CONTROL

    def begin(self) -> Tables:
        return Tables()

    def replay(self, state: Tables, received: Received) -> Tables:
        if received.topic is OPERATIONS:
            if isinstance(received.change, Put):
                state.outcomes[received.change.key] = received.change.value.finished
                _learn_leaving(state, received.change.value)
            else:
                state.outcomes.pop(received.change.key, None)
        else:
            state.live.apply(received)
        return state

    def prepare(self, inputs: Sequence[Received]) -> Sequence[AnyCommand]:
        return [received.change.value for received in inputs if isinstance(received.change, Put)]

    def step(
        self, state: Tables, prepared: Sequence[AnyCommand], now: datetime
    ) -> tuple[Tables, list[Output | Unusable]]:
        outputs: list[Output | Unusable] = []
        for command in prepared:
            if command.operation_id in state.outcomes:
                continue
            outputs += self._carry_out(state, command, now)
            state.outcomes[command.operation_id] = now
        return state, outputs

    def _carry_out(self, state: Tables, command: AnyCommand, now: datetime) -> list[Output]:
        try:
            consequence = _consequence(state, command, now, self.portion)
        except RefusedError as refusal:
            return [_failed(command, refusal.code, str(refusal), now)]
        erasure = _erasure(command, consequence)
        outcome = Operation(
            operation_id=command.operation_id,
            outcome="succeeded" if erasure is None else "erasing",
            requested=command.requested_at,
            finished=now,
            resource=consequence.resource,
            forgotten=sum(_gone(consequence).values()),
            erasure=erasure,
            found=command.found if isinstance(command, NoteFindings) else (),
        )
        if outcome.forgotten > len(consequence.changes):
            state.leaving[consequence.resource] = command.operation_id
        cause = None if erasure is None else command.operation_id
        outputs = _changed(state, consequence.changes, consequence.destroyed, cause)
        return [*outputs, Emit(OPERATIONS, Put(command.operation_id, outcome))]

    def may_pass_over(self, received: Received) -> bool:
        """Not a deletion: its key may be destroyed already, and whoever was forgotten halfway could still be named."""
        return not (isinstance(received.change, Put) and isinstance(received.change.value, Deletion))

    def pass_over(self, state: Tables, received: Received, now: datetime) -> tuple[Tables, list[Output]]:
        """Nobody waits in vain for a command that is given up, and a repeated one finds the same outcome."""
        match received.change:
            case Put(value=command) if command.operation_id not in state.outcomes:
                state.outcomes[command.operation_id] = now
                return state, [_failed(command, GIVEN_UP, GIVEN_UP_WORDS, now)]
            case _:
                return state, []

    def tick(self, state: Tables, now: datetime) -> tuple[Tables, list[Output], datetime | None]:
        old = [operation for operation, finished in state.outcomes.items() if finished <= now - REMEMBERED]
        for operation in old:
            del state.outcomes[operation]
        outputs = self._forget_more(state)
        return state, outputs, now if outputs else now + SWEEP

    def _forget_more(self, state: Tables) -> list[Output]:
        """The next portion of a collection whose deletion was accepted; nothing where none is left."""
        for uid, operation in list(state.leaving.items()):
            changes, kids = collections.forget_more(state, uid, self.portion)
            if changes:
                return _changed(state, changes, kids, operation)
            del state.leaving[uid]
        return []


def _failed(command: AnyCommand, code: str, message: str, now: datetime) -> Output:
    outcome = Operation(
        operation_id=command.operation_id,
        outcome="failed",
        requested=command.requested_at,
        finished=now,
        code=code,
        message=message,
    )
    return Emit(OPERATIONS, Put(command.operation_id, outcome))


def _erasure(command: AnyCommand, consequence: Consequence) -> Erasure | None:
    """What the erase stage has to see through; None where nothing is forgotten."""
    if consequence.erased is None:
        return None
    leaving = consequence.leaving
    return Erasure(
        kind=consequence.erased,
        subject=consequence.resource,
        principal=command.principal,
        counts=dict(sorted(_gone(consequence).items())),
        keys=destroyed_keys(consequence.destroyed if leaving is None else leaving.kids),
    )


def _gone(consequence: Consequence) -> Mapping[str, int]:
    """How many records of each topic are forgotten, by the time that all of it is done."""
    if consequence.leaving is not None:
        return consequence.leaving.counts
    return Counter(topic.name for topic, change in consequence.changes if isinstance(change, Tombstone))


def _learn_leaving(state: Tables, operation: Operation) -> None:
    """A deletion that is not done may have been left halfway; what is left of it is in the tables."""
    if operation.erasure is None or operation.erasure.kind != "collection":
        return
    if operation.outcome == "erasing":
        state.leaving[operation.erasure.subject] = operation.operation_id
    else:
        state.leaving.pop(operation.erasure.subject, None)


def _changed(
    state: Tables, changes: Sequence[tuple[Topic, Change[object]]], kids: Sequence[str], cause: str | None
) -> list[Output]:
    for topic, change in changes:
        state.live.apply_change(topic, change)
    # The key goes first: whatever fails after it, nobody reads a template of the person again.
    outputs: list[Output] = [DestroyKeys(tuple(kids))] if kids else []
    return [*outputs, *(Emit(topic, _caused(change, cause)) for topic, change in changes)]


def _caused(change: Change[object], cause: str | None) -> Change[object]:
    return replace(change, cause=cause) if isinstance(change, Tombstone) else change


def _consequence(state: Tables, command: AnyCommand, now: datetime, portion: int) -> Consequence:
    match command:
        case AddCollection():
            return collections.add(state, command)
        case UpdateCollection() | ChangeMembers():
            return collections.update(state, command)
        case DeleteCollection():
            return collections.forget(state, command.scope, portion)
        case TrainCollection():
            return collections.train(state, command)
        case FinishTraining():
            return collections.finish_training(state, command, now)
        case AddPerson():
            return persons.add(state, command)
        case UpdatePerson():
            return persons.update(state, command)
        case DeletePerson():
            return persons.forget(state, command)
        case AddFace():
            return faces.add(state, command)
        case UpdateFace():
            return faces.update(state, command)
        case DeleteFace():
            return faces.forget(state, command)
        case NoteFindings():
            return Consequence([], command.scope)
