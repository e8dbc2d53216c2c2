"""Faults to plant in the protocol of a deletion: the rules of `tests/protocol`, broken in the code that keeps them."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from connectors import kafka
from pipeline.changes import Tombstone
from pipeline.keeper import Keeper, keeper, ownership, upkeep
from pipeline.keeper.ownership import Owned
from pipeline.operations.ask import Asker
from pipeline.shell.outbox import Outbox
from pipeline.stages.contract import Emit
from pipeline.stages.erase import Erase
from pipeline.stages.identify import Identify
from pipeline.stages.withdrawal import Withdrawal
from pipeline.topology import GATE, IDENTIFY, PERSONS
from pipeline.views import Follower, LiveSet, Watermarks

Plant = Callable[[pytest.MonkeyPatch], None]


def nobody_is_waited_for(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Watermarks, "behind", lambda _self, _partition, _wanted: False)


def who_is_silent_is_not_fenced(patch: pytest.MonkeyPatch) -> None:
    """After 3 s it is taken for granted that nobody works there any more."""
    behind = Erase._behind

    def behind_until_patience_ends(self: Any, waiting: Any, now: Any) -> Any:
        found = behind(self, waiting, now)
        return [] if found and now - (waiting.since or now) >= self.patience else found

    patch.setattr(Erase, "_behind", behind_until_patience_ends)


def _owning(patch: pytest.MonkeyPatch, become_owner: Any) -> None:
    for module in (ownership, keeper, upkeep):
        patch.setattr(module, "become_owner", become_owner)


def a_new_owner_does_not_read_to_the_ends(patch: pytest.MonkeyPatch) -> None:
    owned = ownership.become_owner

    async def become_owner(access: Any, replay: Any, stage: Any, partition: int, tables: Any) -> Owned:
        return await owned(access, replay, stage, partition, None)

    _owning(patch, become_owner)


def the_ends_are_read_before_the_fence(patch: pytest.MonkeyPatch) -> None:
    """Somebody may be forgotten, and that acknowledged, between the two."""
    owned = ownership.become_owner

    async def become_owner(access: Any, replay: Any, stage: Any, partition: int, tables: Any) -> Owned:
        if tables is not None:
            await tables.catch_up()
        return await owned(access, replay, stage, partition, None)

    _owning(patch, become_owner)


def what_was_published_is_replayed_before_the_fence(patch: pytest.MonkeyPatch) -> None:
    owned = ownership.become_owner

    async def become_owner(access: Any, replay: Any, stage: Any, partition: int, tables: Any) -> Owned:
        state = await replay(stage, partition)
        await asyncio.sleep(0.2)
        ours = await owned(access, replay, stage, partition, tables)
        if stage.node is IDENTIFY:
            ours.state = state
        return ours

    _owning(patch, become_owner)


def the_watermark_comes_from_an_ordinary_producer(patch: pytest.MonkeyPatch) -> None:
    publish, start = Owned.publish, ownership.become_owner

    async def become_owner(access: Any, *given: Any) -> Owned:
        ours = await start(access, *given)
        ordinary[id(ours)] = access
        return ours

    async def publish_apart(self: Any, box: Outbox, read: Any = None, group: str | None = None) -> None:
        gate = [each for each in box.records if each.topic == GATE.name]
        await publish(self, replace(box, records=[each for each in box.records if each not in gate]), read, group)
        if gate:
            async with kafka.producer(ordinary[id(self)]) as producer:
                for each in gate:
                    await (await producer.send(**each.arguments()))

    ordinary: dict[int, Any] = {}
    _owning(patch, become_owner)
    patch.setattr(Owned, "publish", publish_apart)


def a_watermark_goes_while_names_are_in_flight(patch: pytest.MonkeyPatch) -> None:
    commit = Keeper._commit

    async def commit_after_a_tick(self: Any, partition: int, owned: Any, box: Outbox, offset: int | None) -> None:
        if offset is not None and isinstance(self._desk.stage, Identify):
            await self._tables.poll()
            owned._alone.release()
            await self._tick(partition, owned)
            await owned._alone.acquire()
        await commit(self, partition, owned, box, offset)

    patch.setattr(Keeper, "_commit", commit_after_a_tick)


def the_watermark_goes_before_the_tombstones(patch: pytest.MonkeyPatch) -> None:
    tick = Withdrawal.tick

    def watermark_first(self: Any, state: Any, now: Any) -> Any:
        state, outputs, due = tick(self, state, now)
        return state, outputs[::-1], due

    patch.setattr(Withdrawal, "tick", watermark_first)
    patch.setattr(ownership, "MOST_RECORDS", 1)


def the_watermark_shares_the_transaction_of_the_tombstones(patch: pytest.MonkeyPatch) -> None:
    for module in (keeper, upkeep):
        patch.setattr(module, "transactions", lambda outputs: [outputs] if outputs else [])


def the_eraser_fences_and_withdraws_nothing(patch: pytest.MonkeyPatch) -> None:
    tick = Withdrawal.tick

    def watermark_alone(self: Any, state: Any, now: Any) -> Any:
        state, outputs, due = tick(self, state, now)
        told = [each for each in outputs if isinstance(each, Emit) and each.topic is GATE]
        return state, outputs if self.by == "identify" else told, due

    patch.setattr(Withdrawal, "tick", watermark_alone)


def who_asks_second_is_refused_at_once(patch: pytest.MonkeyPatch) -> None:
    async def at_once(_self: Any) -> None:
        pass

    patch.setattr(Asker, "effective", at_once)


def a_list_of_the_deleted_is_asked(patch: pytest.MonkeyPatch) -> None:
    apply_change = LiveSet.apply_change
    denied: dict[int, set[str]] = {}

    def noted(self: Any, topic: Any, change: Any) -> None:
        if topic is PERSONS and isinstance(change, Tombstone):
            denied.setdefault(id(self), set()).add(change.key)
        apply_change(self, topic, change)

    def may_name(self: Any, *, person: str, **_: Any) -> bool:
        return person not in denied.get(id(self), ())

    patch.setattr(LiveSet, "apply_change", noted)
    patch.setattr(LiveSet, "may_name", may_name)


def a_view_is_believed_however_long_it_heard_nothing(patch: pytest.MonkeyPatch) -> None:
    """Kafka has forgotten the tombstones that it did not see."""
    patch.setattr(Follower, "_check_age", lambda _self: None)


# Among which seeds each has to be caught: the first, and how many at most. From seed 1 on it takes up to 238 of them; a
# test begins where it need not look for so long.
PLANTED_IN_ERASING: Mapping[Plant, tuple[int, int]] = {
    nobody_is_waited_for: (1, 10),
    who_is_silent_is_not_fenced: (60, 500),
    a_new_owner_does_not_read_to_the_ends: (65, 500),
    the_ends_are_read_before_the_fence: (235, 500),
    what_was_published_is_replayed_before_the_fence: (152, 500),
    the_watermark_comes_from_an_ordinary_producer: (170, 500),
    a_watermark_goes_while_names_are_in_flight: (118, 500),
    the_watermark_goes_before_the_tombstones: (1, 10),
    the_watermark_shares_the_transaction_of_the_tombstones: (185, 500),
    the_eraser_fences_and_withdraws_nothing: (75, 500),
    who_asks_second_is_refused_at_once: (1, 100),
    a_list_of_the_deleted_is_asked: (1, 30),
    a_view_is_believed_however_long_it_heard_nothing: (30, 500),
}
