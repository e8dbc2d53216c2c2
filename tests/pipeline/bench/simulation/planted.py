"""Faults to plant in the real code, each a small patch: a simulation that finds none of them proves nothing."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from connectors import kafka
from pipeline import codec, lifetimes
from pipeline.keeper import Keeper
from pipeline.shell.outbox import Outbox
from pipeline.shell.replay import Replay
from pipeline.stages.contract import Emit
from pipeline.stages.control import Control, collections, stage
from pipeline.stages.control.tables import Consequence, Leaving
from pipeline.stages.erase import Erase
from pipeline.stages.expire import Expire
from pipeline.stages.identify import Identify
from pipeline.stages.withdrawal import Withdrawal
from pipeline.topology import GATE

Plant = Callable[[pytest.MonkeyPatch], None]


def the_reset_policy_is_latest(patch: pytest.MonkeyPatch) -> None:
    made = kafka.consumer
    patch.setattr(kafka, "consumer", lambda access, **options: made(access, **options | {"reset": "latest"}))


def uncommitted_records_are_read(patch: pytest.MonkeyPatch) -> None:
    made = kafka.consumer
    patch.setattr(kafka, "consumer", lambda access, **options: made(access, **options | {"committed": False}))


def a_failed_batch_is_acknowledged(patch: pytest.MonkeyPatch) -> None:
    take = Keeper._take

    async def take_or_pass_over(self: Any, partition: int, records: Sequence[Any]) -> None:
        try:
            await take(self, partition, records)
        except RuntimeError:
            owned = self._owned[partition]
            await self._commit(partition, owned, Outbox(), records[-1].offset + 1)
            owned.next_offset = records[-1].offset + 1

    patch.setattr(Keeper, "_take", take_or_pass_over)


def offsets_are_committed_one_too_far(patch: pytest.MonkeyPatch) -> None:
    commit = Keeper._commit

    async def commit_beyond(self: Any, partition: int, owned: Any, box: Outbox, next_offset: int | None) -> None:
        await commit(self, partition, owned, box, None if next_offset is None else next_offset + 1)

    patch.setattr(Keeper, "_commit", commit_beyond)


def offsets_are_committed_before_the_outputs(patch: pytest.MonkeyPatch) -> None:
    commit = Keeper._commit

    async def commit_in_two(self: Any, partition: int, owned: Any, box: Outbox, next_offset: int | None) -> None:
        await commit(self, partition, owned, Outbox(), next_offset)
        await commit(self, partition, owned, box, None)

    patch.setattr(Keeper, "_commit", commit_in_two)


def nobody_is_fenced(patch: pytest.MonkeyPatch) -> None:
    made, lives = kafka.producer, iter(range(1_000_000))

    def own(access: Any, *, transactional_id: str | None = None) -> Any:
        return made(access, transactional_id=transactional_id and f"{transactional_id}-{next(lives)}")

    patch.setattr(kafka, "producer", own)


def a_new_owner_does_not_replay_what_was_published(patch: pytest.MonkeyPatch) -> None:
    replayed = Replay.__call__

    async def replayed_but_for_identify(self: Any, stage: Any, partition: int) -> Any:
        return stage.begin() if isinstance(stage, Identify) else await replayed(self, stage, partition)

    patch.setattr(Replay, "__call__", replayed_but_for_identify)


def what_named_her_is_not_withdrawn(patch: pytest.MonkeyPatch) -> None:
    tick = Withdrawal.tick

    def watermark_alone(self: Any, state: Any, now: Any) -> Any:
        state, outputs, due = tick(self, state, now)
        return state, [each for each in outputs if isinstance(each, Emit) and each.topic is GATE], due

    patch.setattr(Withdrawal, "tick", watermark_alone)


def faces_that_expire_get_no_tombstone(patch: pytest.MonkeyPatch) -> None:
    tick = Expire.tick

    def silent(self: Any, state: Any, now: Any) -> Any:
        state, _, due = tick(self, state, now)
        return state, [], due

    patch.setattr(Expire, "tick", silent)


def a_seal_does_not_say_whose_it_is(patch: pytest.MonkeyPatch) -> None:
    bound = codec.associated
    patch.setattr(
        codec, "associated", lambda kid, topic, _key, field, expires=None: bound(kid, topic, "", field, expires)
    )


def the_key_goes_after_the_tombstone(patch: pytest.MonkeyPatch) -> None:
    commit = Keeper._commit

    async def commit_first(self: Any, partition: int, owned: Any, box: Outbox, next_offset: int | None) -> None:
        await commit(self, partition, owned, replace(box, kids=(), expired_at=None), next_offset)
        box.destroy_keys(self._shredder)

    patch.setattr(Keeper, "_commit", commit_first)


def a_deletion_that_killed_thrice_is_passed_over(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Control, "may_pass_over", lambda _self, _received: True)


def a_receipt_that_killed_thrice_is_passed_over(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Erase, "may_pass_over", lambda _self, _received: True)


def a_collection_is_gone_with_the_first_of_its_persons(patch: pytest.MonkeyPatch) -> None:
    forget = collections.forget

    def forgotten(state: Any, scope: str, most: int) -> Consequence:
        made = forget(state, scope, most)
        return replace(made, leaving=Leaving(Counter(topic.name for topic, _ in made.changes), made.destroyed))

    patch.setattr(collections, "forget", forgotten)


def who_takes_over_does_not_know_of_a_collection_that_leaves(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(stage, "_learn_leaving", lambda _state, _operation: None)


def nothing_is_allowed_for_clocks_that_are_apart(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(lifetimes, "SKEW", timedelta())


# What each must be caught by, and among which seeds: the first, and how many at most.
PLANTED: dict[Plant, tuple[str, int, int]] = {
    the_reset_policy_is_latest: ("I1", 1, 200),
    uncommitted_records_are_read: ("I", 1, 200),
    a_failed_batch_is_acknowledged: ("I1", 1, 30),
    offsets_are_committed_one_too_far: ("I1", 1, 30),
    offsets_are_committed_before_the_outputs: ("I1", 1, 100),
    nobody_is_fenced: ("I2", 1, 200),
    a_new_owner_does_not_replay_what_was_published: ("I3", 1, 30),
    what_named_her_is_not_withdrawn: ("I3", 1, 6),
    faces_that_expire_get_no_tombstone: ("I6", 1, 6),
    a_seal_does_not_say_whose_it_is: ("I5", 1, 6),
    the_key_goes_after_the_tombstone: ("I5", 1, 6),
    a_deletion_that_killed_thrice_is_passed_over: ("I7", 1, 6),
    a_receipt_that_killed_thrice_is_passed_over: ("I7", 1, 6),
    a_collection_is_gone_with_the_first_of_its_persons: ("I5", 1, 6),
    who_takes_over_does_not_know_of_a_collection_that_leaves: ("I7", 1, 6),
    nothing_is_allowed_for_clocks_that_are_apart: ("I8", 40, 200),
}
