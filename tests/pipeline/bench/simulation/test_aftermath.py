"""What a deletion leaves in Kafka's segments is gone within minutes at the settings of the map, if somebody appends."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from pipeline.bench.simulation.people import PEOPLE, people
from pipeline.bench.simulation.report import Report
from pipeline.bench.simulation.running import run_seed
from pipeline.bench.simulation.world import World
from pipeline.erasing.bounds import NUDGE_S
from pipeline.keeper.upkeep import Upkeeper
from pipeline.topology import COMMANDS, IDENTIFICATIONS, PERSONS, SECOND, TEMPLATES, Topic

ENROLLED = (COMMANDS, PERSONS, TEMPLATES)
CLEANED_EVERY_S = 5.0
# The longest of the segments' times, the wait for a nudge, a pass of the cleaner.
BOUND_S = max(topic.segment_ms for topic in (*ENROLLED, IDENTIFICATIONS)) / SECOND + 2 * NUDGE_S


class Aftermath(World):
    """One person is enrolled, passes, and is deleted; then nobody does anything any more."""

    def settings(self, topic: Topic) -> Mapping[str, str]:
        return topic.settings()

    async def run(self) -> Report:
        self.broker.pace = replace(self.broker.pace, slow=0.0, drowsy=1.0)
        names = ("control-0", "identify-0", "erase-0")
        for name in names:
            self.machine.start(name)
        async with people(self.machine, self.chance, self.checker) as crowd:
            await crowd.open_collection(PEOPLE)
            someone = await crowd.enrol(PEOPLE, 0)
            await asyncio.sleep(1.0)
            await crowd.show("door", "passage", 0, 0, 60, honest=True)
            await asyncio.sleep(1.0)
            self.checker.expect_named("passage", someone.person_id)
            # The negative control: while she is enrolled, she is found wherever she should be.
            assert self._holding(someone.person_id) == {topic.name for topic in (*ENROLLED, IDENTIFICATIONS)}
            await crowd.delete(someone)
        # Nothing comes any more: readers may sleep for long.
        self.broker.pace = replace(self.broker.pace, drowsy=20.0)
        cleaning = asyncio.create_task(self._clean())
        await asyncio.sleep(BOUND_S)
        cleaning.cancel()
        with suppress(asyncio.CancelledError):
            await cleaning
        for name in sorted(self._holding(someone.person_id)):
            self.checker.broken.append(f"{name} still holds {someone.person_id}")
        return self._report(crowd)

    def _holding(self, person: str) -> set[str]:
        """The topics with a value, seen or not, that has to do with the person."""
        return {
            topic.name
            for topic in (*ENROLLED, IDENTIFICATIONS)
            for (name, _), partition in self.broker.partitions.items()
            if name == topic.name
            for entry in partition.read(0, partition.end, committed=False)
            if entry.value is not None and person.encode() in entry.value
        }

    async def _clean(self) -> None:
        while True:
            await asyncio.sleep(CLEANED_EVERY_S)
            for partition in self.broker.partitions.values():
                partition.clean()


def test_what_a_deletion_leaves_is_gone_within_the_bound() -> None:
    assert run_seed(1, kind=Aftermath).broken == ()


async def _nothing(*_: Any) -> None: ...


@pytest.mark.parametrize(
    ("what", "left"), [("_nudge", {"persons", "templates", "identifications"}), ("_purge", {"commands"})]
)
def test_without_a_nudge_or_a_purge_it_stays(what: str, left: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Upkeeper, what, _nothing if what == "_nudge" else lambda *_: None)
    broken = run_seed(1, kind=Aftermath).broken
    assert {told.partition(" still holds ")[0] for told in broken} == left
