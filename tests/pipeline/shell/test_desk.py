"""Between reading and writing: portions, suspects alone, and nothing done before the broker's word."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.keystore import wall_clock
from pipeline.changes import Put, Tombstone
from pipeline.codec import Received, Unusable, decode
from pipeline.records import DeadLetter, FrameId, Gap
from pipeline.shell.attempts import MOST, Attempts
from pipeline.shell.desk import Desk, Portion
from pipeline.shell.replay import Replay
from pipeline.stages.contract import Emit, Output
from pipeline.topology import DEAD_LETTERS, DETECT, FRAMES, GAPS, Deployment, Node
from tests.pipeline.examples import NOON, frame, received


class KilledError(Exception):
    """The process has ended: what is in hand stays noted."""


@dataclass(frozen=True)
class Counting:
    """A stage that counts frames by camera, dies of the poisonous and gives up the flawed; its state is a total."""

    poison: frozenset[tuple[str, int]] = frozenset()
    flawed: frozenset[int] = frozenset()
    node: Node = DETECT
    batch: int = 10
    threads: list[str] = field(default_factory=list)

    def begin(self) -> int:
        return 0

    def replay(self, state: int, received: Received) -> int:
        return state

    def prepare(self, inputs: Sequence[Received]) -> list[FrameId | Unusable]:
        self.threads.append(threading.current_thread().name)
        prepared: list[FrameId | Unusable] = []
        for each in inputs:
            assert isinstance(each.change, Put)
            identity: FrameId = each.change.value.id
            if (identity.camera, identity.sequence) in self.poison:
                raise KilledError
            flawed = identity.sequence in self.flawed
            prepared.append(Unusable(each.topic, each.partition, each.offset, "flawed") if flawed else identity)
        return prepared

    def step(
        self, state: int, prepared: Sequence[FrameId | Unusable], now: datetime
    ) -> tuple[int, list[Output | Unusable]]:
        outputs: list[Output | Unusable] = []
        for each in prepared:
            if isinstance(each, Unusable):
                outputs.append(each)
            else:
                state += 1
                gap = Gap(camera=each.camera, session=each.session, first=each.sequence, last=state, reason="counted")
                outputs.append(Emit(GAPS, Put(each.camera, gap)))
        return state, outputs


SILENT = Replay(
    Deployment(), lambda: pytest.fail("nobody reads here"), lambda: pytest.fail("nobody reads here"), wall_clock
)


def desk(path: Path, stage: Counting) -> Desk[Counting]:
    """A new life of the shell; nothing here reads from Kafka."""
    return Desk(stage, Deployment(), Attempts(path), lambda: NOON, SILENT)


def frames(offsets: Sequence[int], camera: str = "door", partition: int = 0) -> list[Received | Unusable]:
    return [received(FRAMES, Put(camera, frame(each, camera=camera)), each, partition) for each in offsets]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "worker.attempts"


async def everything(worker: Desk[Counting], inputs: Sequence[Received | Unusable], state: int = 0) -> list[Portion]:
    portions = []
    async for step in worker.work(0, inputs):
        portions.append(step(state))
        state = portions[-1].state
    return portions


def written(portion: Portion) -> list[tuple[str, Any]]:
    found = []
    for each in portion.outbox.records:
        topic = next(topic for topic in (GAPS, DEAD_LETTERS) if topic.name == each.topic)
        change = decode(topic, each.wire.key, each.wire.value, each.wire.headers)
        assert isinstance(change, Put)
        found.append((each.topic, change.value))
    return found


def letters(portions: Sequence[Portion]) -> list[DeadLetter]:
    return [value for portion in portions for topic, value in written(portion) if topic == DEAD_LETTERS.name]


async def test_what_nobody_suspects_is_one_portion(path: Path) -> None:
    (portion,) = await everything(desk(path, Counting()), frames([3, 4, 8]), state=10)
    assert (portion.state, portion.next_offset) == (13, 9)
    assert [value.last for _, value in written(portion)] == [11, 12, 13]
    assert portion.outbox.dead_letters == 0


async def test_nothing_read_is_nothing_done(path: Path) -> None:
    assert await everything(desk(path, Counting()), []) == []
    assert not Attempts(path).suspects


async def test_blocking_work_is_done_off_the_event_loop(path: Path) -> None:
    stage = Counting()
    await everything(desk(path, stage), frames([0]))
    assert stage.threads
    assert threading.current_thread().name not in stage.threads


async def test_a_portion_is_done_only_when_the_shell_asks_for_the_next(path: Path) -> None:
    dies = desk(path, Counting()).work(0, frames([3, 4]))
    await anext(dies)
    lives = desk(path, Counting())
    assert lives.attempts.deaths(0, 3) == 1, "a death here, before the broker's word, must count"
    portions = await everything(lives, frames([3, 4]))
    assert [portion.next_offset for portion in portions] == [4, 5]
    assert not Attempts(path).suspects


async def test_a_stage_that_raises_leaves_its_portion_in_hand(path: Path) -> None:
    with pytest.raises(KilledError):
        await everything(desk(path, Counting(poison=frozenset({("door", 4)}))), frames([3, 4]))
    attempts = Attempts(path)
    assert [attempts.deaths(0, offset) for offset in (3, 4)] == [1, 1]


async def test_unusable_records_are_dead_letters_and_the_rest_is_worked_on(path: Path) -> None:
    inputs = [*frames([3]), Unusable(FRAMES, 0, 4, "garbage"), *frames([5, 6])]
    (portion,) = await everything(desk(path, Counting(flawed=frozenset({6}))), inputs)
    assert (portion.state, portion.next_offset, portion.outbox.dead_letters) == (2, 7, 2)
    assert [(letter.offset, letter.error, letter.attempts) for letter in letters([portion])] == [
        (4, "garbage", 1),
        (6, "flawed", 1),
    ]


async def test_a_portion_of_nothing_but_garbage_leaves_the_stage_alone(path: Path) -> None:
    stage = Counting()
    (portion,) = await everything(desk(path, stage), [Unusable(FRAMES, 0, 4, "garbage")], state=7)
    assert (portion.state, portion.next_offset, stage.threads) == (7, 5, [])


async def test_suspects_are_tried_alone_and_the_state_goes_from_portion_to_portion(path: Path) -> None:
    Attempts(path).begin(0, [5])
    portions = await everything(desk(path, Counting()), frames([3, 4, 5, 6]))
    assert [(portion.state, portion.next_offset) for portion in portions] == [(2, 5), (3, 6), (4, 7)]
    assert letters(portions) == []


async def test_the_third_death_of_one_alone_is_its_last(path: Path) -> None:
    stage, inputs = Counting(poison=frozenset({("door", 4)})), frames([3, 4, 5])
    for _ in range(MOST):
        with pytest.raises(KilledError):
            await everything(desk(path, stage), inputs)
    portions = await everything(desk(path, stage), inputs)
    assert portions[-1].state == 2
    assert letters(portions) == [
        DeadLetter(
            topic="frames",
            partition=0,
            offset=4,
            error="the process ended 3 times with this record in hand",
            attempts=MOST,
            found_at=NOON,
            frame=FrameId("door", "s1", 4),
        )
    ]
    assert not Attempts(path).suspects


async def test_a_condemned_tombstone_is_told_by_its_place_alone(path: Path) -> None:
    for _ in range(MOST):
        Attempts(path).begin(0, [4])
    portions = await everything(desk(path, Counting()), [received(FRAMES, Tombstone("door"), 4)])
    assert [(letter.offset, letter.frame) for letter in letters(portions)] == [(4, None)]


@dataclass(frozen=True)
class Answering(Counting):
    """The same, but that every frame given up is told as a gap, and those of `vital` cameras never are."""

    vital: frozenset[str] = frozenset()

    def may_pass_over(self, received: Received) -> bool:
        return not isinstance(received.change, Put) or received.change.value.id.camera not in self.vital

    def pass_over(self, state: int, received: Received, now: datetime) -> tuple[int, list[Output]]:
        assert isinstance(received.change, Put)
        lost = received.change.value.id
        gap = Gap(camera=lost.camera, session=lost.session, first=lost.sequence, last=state, reason="failed")
        return state + 100, [Emit(GAPS, Put(lost.camera, gap))]


async def test_what_is_owed_for_a_condemned_record_goes_with_its_dead_letter(path: Path) -> None:
    for _ in range(MOST):
        Attempts(path).begin(0, [4])
    portions = await everything(desk(path, Answering()), frames([3, 4, 5]))
    assert [portion.state for portion in portions] == [1, 101, 102]
    (_, letter), (_, gap) = written(portions[1])
    assert (letter.offset, gap.first, gap.reason) == (4, 4, "failed")


async def test_what_may_not_be_passed_over_is_tried_for_ever_and_the_log_says_where(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stage, inputs = Answering(poison=frozenset({("door", 4)}), vital=frozenset({"door"})), frames([3, 4, 5])
    for _ in range(MOST + 2):
        with pytest.raises(KilledError):
            await everything(desk(path, stage), inputs)
    assert "frames/0 at offset 4 was in hand at 4 ends of this process" in caplog.text
    portions = await everything(desk(path, Answering(vital=frozenset({"door"}))), inputs)
    assert (portions[-1].state, letters(portions)) == (3, [])
    assert not Attempts(path).suspects


async def test_what_cannot_be_read_is_passed_over_by_every_stage(path: Path) -> None:
    for _ in range(MOST):
        Attempts(path).begin(0, [4])
    (portion,) = await everything(desk(path, Answering()), [Unusable(FRAMES, 0, 4, "garbage")], state=7)
    assert ([letter.error for letter in letters([portion])], portion.state) == (["garbage"], 7)


async def lived(worker: Desk[Counting], committed: dict[int, int], told: list[Portion]) -> bool:
    """One life of a keeper: its partitions side by side, each with a broker that takes its time."""

    async def take(partition: int) -> None:
        camera = f"camera-{partition}"
        left = frames([each for each in range(8) if each >= committed[partition]], camera, partition)
        async for step in worker.work(partition, left):
            portion = step(0)
            await asyncio.sleep(0.002)
            told.append(portion)
            committed[partition] = portion.next_offset

    takers = [asyncio.create_task(take(partition)) for partition in committed]
    try:
        await asyncio.gather(*takers)
    except KilledError:
        for taker in takers:
            taker.cancel()
        await asyncio.gather(*takers, return_exceptions=True)
        return False
    return True


async def test_nobody_is_condemned_for_what_dies_on_another_partition(path: Path) -> None:
    """Partitions work side by side, and what is in hand beside the poison dies with it each time."""
    stage = Counting(poison=frozenset({("camera-0", 5), ("camera-2", 0)}))
    committed, told = dict.fromkeys(range(3), 0), list[Portion]()
    lives = 1
    while not await lived(desk(path, stage), committed, told):
        lives += 1
        assert lives <= 2 * MOST + 1
    assert sorted((letter.partition, letter.offset) for letter in letters(told)) == [(0, 5), (2, 0)]
    assert committed == dict.fromkeys(range(3), 8)


async def test_without_a_suspect_partitions_do_not_wait_for_each_other(path: Path) -> None:
    worker = desk(path, Counting())
    one, other = worker.work(0, frames([0])), worker.work(1, frames([0], "gate", 1))
    async with asyncio.timeout(5):
        assert (await anext(one))(0).next_offset == 1
        assert (await anext(other))(0).next_offset == 1
        for work in (one, other):
            assert await anext(work, None) is None


async def test_a_stage_that_replays_nothing_begins_anew(path: Path) -> None:
    node = Node("mute", "worker", "remembers nothing", reads=FRAMES)
    assert await SILENT(Counting(node=node), 0) == 0
