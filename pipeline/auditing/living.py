"""The control of topics that no canary gets into: somebody who lives, and whom they name, has to be found there."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from pipeline.auditing.kafka_files import KafkaFiles
from pipeline.auditing.report import CONTROL, Line, Verdict
from pipeline.records import Identification
from pipeline.topology import IDENTIFICATIONS, MEMBERSHIPS
from pipeline.views import LiveSet

Picked = Callable[[], Awaitable[str | None]]
TRIES = 3  # whoever was picked may be taken back before the files are read


def pickers(live: LiveSet, told: Callable[[], Awaitable[list[Identification]]]) -> Mapping[str, Picked]:
    """By topic, what picks the id of a living person whom it names now; `told` are all identifications that count."""

    async def member() -> str | None:
        groups = live.collections_of("dynamicpersongroup")
        return next((person for group in groups for person in live.members_of(group.uid, top=1)), None)

    async def passer() -> str | None:
        named = (each.person_id for each in reversed(await told()))
        return next((person for person in named if person is not None and person in live.persons), None)

    return {MEMBERSHIPS.name: member, IDENTIFICATIONS.name: passer}


async def lines(kafka: KafkaFiles, pick: Mapping[str, Picked]) -> AsyncIterator[Line]:
    """A line for each topic: PASS once its picked person is found in its files, BLIND where that is not so."""
    for topic, picked in pick.items():
        verdict, text = await _control(kafka, topic, picked)
        yield Line(check=CONTROL, subject=topic, verdict=verdict, text=text)


async def _control(kafka: KafkaFiles, topic: str, picked: Picked) -> tuple[Verdict, str]:
    for _ in range(TRIES):
        person = await picked()
        if person is None:
            return Verdict.CANNOT_TELL, "it names nobody who lives, so that nobody can be looked for: nothing is signed"
        where = await asyncio.to_thread(kafka.where, [person])
        if person in where.get(topic, ()):
            return Verdict.PASS, "a living person whom it names is found"
    return Verdict.BLIND, "a living person whom it names is not found: nothing else counts here"
