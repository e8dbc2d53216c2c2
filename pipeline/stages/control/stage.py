"""The one writer of the tables: checks what was asked for, writes what follows from it, and says how it ended."""

from collections import Counter
from collections.abc import Sequence
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
from pipeline.topology import CONTROL, OPERATIONS, Node

# As long as `operations` keeps them.
REMEMBERED = timedelta(hours=48)
SWEEP = timedelta(hours=1)
GIVEN_UP = "InternalServerError"
GIVEN_UP_WORDS = "control ended again and again over this command and has given it up: see its log and dead-letters"


@dataclass(frozen=True, slots=True)
class Control:
    """Commands in, tables and outcomes out, in one transaction; a repeated command finds its first outcome."""

    batch: int = 100

    @property
    def node(self) -> Node:
        return CONTROL

    def begin(self) -> Tables:
        return Tables()

    def replay(self, state: Tables, received: Received) -> Tables:
        if received.topic is OPERATIONS:
            if isinstance(received.change, Put):
                state.outcomes[received.change.key] = received.change.value.finished
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
            consequence = _consequence(state, command, now)
        except RefusedError as refusal:
            return [_failed(command, refusal.code, str(refusal), now)]
        for topic, change in consequence.changes:
            state.live.apply_change(topic, change)
        erasure = _erasure(command, consequence)
        outcome = Operation(
            operation_id=command.operation_id,
            outcome="succeeded" if erasure is None else "erasing",
            requested=command.requested_at,
            finished=now,
            resource=consequence.resource,
            forgotten=sum(isinstance(change, Tombstone) for _, change in consequence.changes),
            erasure=erasure,
            found=command.found if isinstance(command, NoteFindings) else (),
        )
        # The key goes first: whatever fails after it, nobody reads a template of the person again.
        outputs: list[Output] = [DestroyKeys(consequence.destroyed)] if consequence.destroyed else []
        cause = None if erasure is None else command.operation_id
        outputs += [Emit(topic, _caused(change, cause)) for topic, change in consequence.changes]
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
        return state, [], now + SWEEP


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
    gone = [topic.name for topic, change in consequence.changes if isinstance(change, Tombstone)]
    return Erasure(
        kind=consequence.erased,
        subject=consequence.resource,
        principal=command.principal,
        counts=dict(sorted(Counter(gone).items())),
        keys=destroyed_keys(consequence.destroyed),
    )


def _caused(change: Change[object], cause: str | None) -> Change[object]:
    return replace(change, cause=cause) if isinstance(change, Tombstone) else change


def _consequence(state: Tables, command: AnyCommand, now: datetime) -> Consequence:
    match command:
        case AddCollection():
            return collections.add(state, command)
        case UpdateCollection() | ChangeMembers():
            return collections.update(state, command)
        case DeleteCollection():
            return collections.forget(state, command.scope)
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
