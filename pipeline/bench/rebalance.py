"""Has a second worker join each stage under load and leave it again: what is lost, what comes twice, who waited."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count

import numpy as np

from pipeline.balance import Balance, balances
from pipeline.bench import Bench, Row
from pipeline.bench.audit import Audit, audited
from pipeline.bench.clips import alternating
from pipeline.bench.deployment import deployed
from pipeline.bench.enrolling import Enrolling
from pipeline.bench.kills import fates
from pipeline.bench.visits import Visit, Visitor
from pipeline.topology import FACES, IDENTIFICATIONS, LEDGER, OPERATIONS, STAGES, Scale

NAME = "rebalance"
KINDS = ("largepersongroup", "persongroup")
PARTITIONS = 4  # of streams and tables alike, so that either worker of any stage gets two
FPS = 3
CUT_SECONDS = 1.5
CLIP_SECONDS = 12.0
FACE_TTL = 60  # the shortest there is, so that faces end while workers come and go
END_GRACE = timedelta(seconds=15)
END_LOOKS = 150


@dataclass(frozen=True, slots=True)
class Rebalance:
    """What the visits found.

    `unended` are faces past their end without a tombstone, `unanswered` commands that were not answered exactly once,
    `unindexed` templates that no search finds.
    """

    visits: tuple[Visit, ...]
    balance: Balance
    faces: int
    unidentified: int
    identifications: int
    duplicated: int
    unended: int
    commands: int
    unanswered: int
    templates: int
    unindexed: int

    @property
    def sound(self) -> bool:
        return not any(faults for _, faults in self._counts())

    def rows(self) -> list[Row]:
        return [
            *(Row(NAME, what, str(faults), "0", not faults) for what, faults in self._counts()),
            Row(NAME, "frames in gaps, dead letters, skipped", fates(self.balance)),
            *(_row(visit) for visit in self.visits),
        ]

    def _counts(self) -> list[tuple[str, int]]:
        return [
            (f"frames that nothing accounts for, of {self.balance.sampled}", self.balance.unaccounted),
            (f"faces that were never identified, of {self.faces}", self.unidentified),
            (f"told twice, of {self.identifications} identifications", self.duplicated),
            ("faces past their end without a tombstone", self.unended),
            (f"commands not answered exactly once, of {self.commands}", self.unanswered),
            (f"templates that no search finds, of {self.templates}", self.unindexed),
        ]


def _row(visit: Visit) -> Row:
    times = f"{visit.joined:.1f} s, {visit.returned:.1f} s, {visit.replaced:.1f} s"
    return Row(NAME, f"second {visit.stage}: until it works; again after a kill; replaced after its end", times)


async def run(
    bench: Bench, *, pack: str = "retail", times: int = 3, stages: Sequence[str] = tuple(STAGES), seed: int = 0
) -> Rebalance:
    """Let a second worker visit each of `stages` in turn, `times` times over."""
    bench.tell("making the clip")
    clip = await alternating(bench.folder / "rebalance.mp4", CLIP_SECONDS, cut=CUT_SECONDS)
    scale = Scale(streams=PARTITIONS, tables=PARTITIONS)
    names = one_each(PARTITIONS, scale.of_camera, lambda number: f"gate-{number}")
    scopes = one_each(PARTITIONS, scale.of_scope, lambda number: f"{KINDS[number % 2]}/people-{number}")
    shared = {"file": str(clip), "fps": FPS, "policy": "latest", "loop": True, "face_ttl": FACE_TTL}
    cameras = [{"name": name, "collections": [scope], **shared} for name, scope in zip(names, scopes, strict=True)]
    kafka = {"streams": PARTITIONS, "tables": PARTITIONS}
    async with (
        deployed(bench, pack, cameras, tables={"kafka": kafka}) as deployment,
        audited(deployment, (FACES, IDENTIFICATIONS, LEDGER, OPERATIONS)) as (audit, follower),
        deployment.client() as client,
    ):
        enrolling = Enrolling(deployment, client, scopes, np.random.default_rng(seed))
        visitor = Visitor(deployment)
        await asyncio.gather(*(deployment.cameras[name].start() for name in names))
        async with enrolling.going_on():
            visits = [await visitor.visit(stage) for _ in range(times) for stage in stages]
        bench.tell("waiting until everything is accounted for")
        await asyncio.gather(*(deployment.cameras[name].stop() for name in names))
        books = await deployment.drained()
        unindexed = await enrolling.missing()
        await follower.catch_up()
        await audit.answered()
        answers = audit.answers
        return Rebalance(
            tuple(visits),
            sum(balances(books).values(), Balance()),
            len(audit.faces),
            audit.unidentified(),
            len(audit.told),
            audit.duplicated(),
            await _unended(audit),
            enrolling.asked,
            abs(enrolling.asked - len(answers)) + sum(number != 1 for number in answers.values()),
            len(enrolling.enrolled),
            unindexed,
        )


def one_each(partitions: int, place: Callable[[str], int], name: Callable[[int], str]) -> list[str]:
    """The first of the names 0, 1, 2, ... for each partition."""
    found: dict[int, str] = {}
    for number in count():
        found.setdefault(place(name(number)), name(number))
        if len(found) == partitions:
            break
    return [found[partition] for partition in range(partitions)]


async def _unended(audit: Audit) -> int:
    """Faces without a tombstone although their end had passed for a while at the call, half a minute at most later."""
    due = datetime.now(UTC) - END_GRACE
    for _ in range(END_LOOKS):
        if not audit.overdue(due):
            break
        await asyncio.sleep(0.2)
    return audit.overdue(due)
