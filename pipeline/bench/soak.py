"""Deletes persons who are in view while everything is killed at random: who is named afterwards, and who waited."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
from aiokafka import AIOKafkaConsumer  # type: ignore[import-untyped]

from pipeline import wiring
from pipeline.balance import Balance, balances
from pipeline.bench import Bench, Row, under
from pipeline.bench.audit import Audit, audited
from pipeline.bench.blows import EVERY, Blow, Blows, Company, Struck, company
from pipeline.bench.clips import alternating
from pipeline.bench.deployment import Deployed, deployed, until
from pipeline.bench.forgetting import Deletion, Forgetting, faces_in_view
from pipeline.bench.gallery import ensured, indexed
from pipeline.bench.ghosts import JUDGED, Judge
from pipeline.bench.kills import fates
from pipeline.bench.receipted import Receipted, receipted
from pipeline.topology import FACES, LEDGER, OPERATIONS
from pipeline.views import Follower
from pipeline.wiring.asking import reader

NAME = "soak"
CAMERA = "gate"
FPS = 10
FACE_TTL = 60  # the shortest there is, so that faces end while stages are killed
CLIP_SECONDS = 30.0
LOOK_SECONDS = 0.2
REST_LOOKS = 150
MEDIAN_GOAL, P99_GOAL, HUNG_GOAL = 0.3, 1.0, 6.0  # seconds


@dataclass(frozen=True, slots=True)
class Soak:
    """What a run found. `kept` are identifications of somebody that outlived the acknowledgement of the deletion.

    `seen` counts deletions of somebody who had been named; `unanswered` those that `operations` does not answer
    exactly once.
    """

    seconds: float
    deletions: tuple[Deletion, ...]
    struck: tuple[Struck, ...]
    balance: Balance
    faces: int
    unidentified: int
    identifications: int
    duplicated: int
    ghosts: int
    kept: int
    seen: int
    asked: int
    unanswered: int
    fences: int
    receipts: Receipted

    @property
    def lost(self) -> int:
        """Frames that nothing accounts for, and faces that were never identified."""
        return self.balance.unaccounted + self.unidentified

    @property
    def sound(self) -> bool:
        return self.seen > 0 and not any(faults for _, faults in self._counts())

    def rows(self) -> list[Row]:
        asked = f"{len(self.deletions)} ({self.asked}, {self.seen})"
        return [
            Row(
                NAME, "minutes, blows, partitions fenced", f"{self.seconds / 60:.1f}, {len(self.struck)}, {self.fences}"
            ),
            Row(NAME, "deletions acknowledged (asked for, of somebody who had been named)", asked),
            *(Row(NAME, what, str(faults), "0", not faults) for what, faults in self._counts()),
            Row(NAME, "frames in gaps, dead letters, skipped", fates(self.balance)),
            *self._acknowledgements(),
            *self._recoveries(),
        ]

    def _counts(self) -> list[tuple[str, int]]:
        return [
            ("ghosts: named after the acknowledgement", self.ghosts),
            ("ghosts: named before it and not taken back by then", self.kept),
            (f"lost, of {self.balance.sampled} frames and {self.faces} faces", self.lost),
            (f"told twice, of {self.identifications} identifications", self.duplicated),
            ("deletions not acknowledged, or not answered exactly once", self.unanswered),
            ("deletions without exactly one receipt, chains that do not hold", self.receipts.faults),
        ]

    def _acknowledgements(self) -> list[Row]:
        waited: dict[Company, list[float]] = defaultdict(list)
        for each in self.deletions:
            waited[company(self.struck, each.asked, each.acknowledged)].append(each.seconds)
        return [*_undisturbed(waited["none"]), *_hung(waited["hung"]), *_down(waited["down"])]

    def _recoveries(self) -> list[Row]:
        times: dict[Blow, list[float]] = defaultdict(list)
        for each in self.struck:
            times[each.blow].append(each.seconds)
        return [
            Row(NAME, f"{blow} {len(took)} times: to the next result, median and worst", _spread(took, 50, 100))
            for blow, took in sorted(times.items(), key=lambda each: str(each[0]))
        ]


def _undisturbed(waited: Sequence[float]) -> list[Row]:
    what = f"acknowledged without faults, {len(waited)} times"
    if not waited:
        return []
    return [
        under(NAME, f"{what}: p50", float(np.percentile(waited, 50)), MEDIAN_GOAL, unit=" s"),
        under(NAME, f"{what}: p99", float(np.percentile(waited, 99)), P99_GOAL, unit=" s"),
        Row(NAME, f"{what}: worst", f"{max(waited):.2f} s"),
    ]


def _hung(waited: Sequence[float]) -> list[Row]:
    what = f"acknowledged while identify hung, {len(waited)} times"
    if not waited:
        return []
    return [
        Row(NAME, f"{what}: p50, p99", _spread(waited, 50, 99)),
        under(NAME, f"{what}: worst", max(waited), HUNG_GOAL, unit=" s"),
    ]


def _down(waited: Sequence[float]) -> list[Row]:
    what = f"acknowledged while a process was down, {len(waited)} times"
    return [Row(NAME, f"{what}: p50, p99, worst", _spread(waited, 50, 99, 100))] if waited else []


def _spread(seconds: Sequence[float], *percentiles: float) -> str:
    return ", ".join(f"{each:.2f}" for each in np.percentile(seconds, percentiles)) + " s"


async def run(
    bench: Bench,
    *,
    pack: str = "retail",
    minutes: float = 10.0,
    kills_per_minute: float = 6.0,
    deletions: int | None = None,
    kinds: Sequence[Blow] = EVERY,
    seed: int = 0,
) -> Soak:
    """Delete until the time is over, or until so many `deletions` are acknowledged and each kind of blow was struck."""
    bench.tell("making the clip")
    clip = await alternating(bench.folder / "soak.mp4", CLIP_SECONDS)
    camera = {"name": CAMERA, "file": str(clip), "fps": FPS, "policy": "latest", "loop": True, "face_ttl": FACE_TTL}
    judge, (choices, moments) = Judge(), np.random.default_rng(seed).spawn(2)
    async with (
        deployed(bench, pack, [camera]) as deployment,
        audited(deployment, (*JUDGED, FACES, LEDGER, OPERATIONS), also=judge.take) as (audit, follower),
        deployment.client() as client,
        _unread(deployment) as ends,
    ):
        faces = await faces_in_view(deployment)
        forgetting = Forgetting(deployment, client, audit, judge, ends, faces, choices)
        blows = Blows(deployment, client, audit, kinds, kills_per_minute, moments)
        bench.tell("enrolling whoever will be in view")
        await ensured(client, pack)
        await forgetting.fill()
        await indexed(deployment, client)
        await deployment.cameras[CAMERA].start()
        await until(lambda: bool(judge.named), "somebody to be named")
        began = time.monotonic()
        await _soaked(forgetting, blows, began + minutes * 60, deletions)
        seconds = time.monotonic() - began
        bench.tell("waiting until everything is accounted for")
        await deployment.cameras[CAMERA].stop()
        balance = sum(balances(await deployment.drained()).values(), Balance())
        receipts = await receipted(deployment, [each.operation for each in forgetting.done])
        await _at_rest(follower, audit, judge)
        return _found(seconds, forgetting, blows, balance, receipts)


async def _soaked(forgetting: Forgetting, blows: Blows, deadline: float, deletions: int | None) -> None:
    """Deletions go on until the last blow is made up for: without them there would be no result to tell it by."""

    def is_enough() -> bool:
        is_met = deletions is not None and len(forgetting.done) >= deletions and blows.all_met
        return is_met or time.monotonic() >= deadline

    enough = asyncio.Event()
    async with forgetting.going_on():
        striking = asyncio.create_task(blows.strike(enough))
        while not is_enough() and not (striking.done() and striking.exception()):
            await asyncio.sleep(LOOK_SECONDS)
            told = f"{len(forgetting.done)} deletions acknowledged, {len(blows.struck)} blows"
            forgetting.deployment.bench.tell(told)
        enough.set()
        await striking


async def _at_rest(follower: Follower, audit: Audit, judge: Judge) -> None:
    """Wait until every face is identified and whoever is gone was taken back, half a minute at most for each."""
    await follower.catch_up()
    await audit.answered()
    for _ in range(REST_LOOKS):
        if not judge.last_words():
            return
        await asyncio.sleep(LOOK_SECONDS)


def _found(seconds: float, forgetting: Forgetting, blows: Blows, balance: Balance, receipts: Receipted) -> Soak:
    audit, judge, done = forgetting.audit, forgetting.judge, tuple(forgetting.done)
    answered = sum(audit.answers[each.operation] == 1 for each in done)
    return Soak(
        seconds=seconds,
        deletions=done,
        struck=tuple(blows.struck),
        balance=balance,
        faces=len(audit.faces),
        unidentified=audit.unidentified(),
        identifications=len(audit.told),
        duplicated=judge.duplicated(),
        ghosts=len(judge.ghosts()),
        kept=len(judge.kept()),
        seen=sum(each.person in judge.named for each in done),
        asked=forgetting.asked,
        unanswered=forgetting.asked - answered,
        fences=judge.fences,
        receipts=receipts,
    )


@asynccontextmanager
async def _unread(deployment: Deployed) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that only says where topics end."""
    consumer = reader(wiring.kafka_access(deployment.settings, deployment.home))
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()
