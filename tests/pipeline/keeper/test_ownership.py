"""Which outputs share a transaction: as many as fit, but a watermark never with what it speaks for; and who decides."""

import asyncio
from unittest.mock import Mock

import pytest

from pipeline.changes import Put, Tombstone
from pipeline.keeper.ownership import MOST_RECORDS, Owned, transactions
from pipeline.records import Watermark
from pipeline.stages.contract import DestroyKeys, Emit, Output
from pipeline.topology import GATE, IDENTIFICATIONS
from tests.pipeline.examples import NOON

WATERMARK = Emit(GATE, Put("identify", Watermark(positions={}, by="identify", at=NOON)))


def tombstones(count: int) -> list[Output]:
    return [Emit(IDENTIFICATIONS, Tombstone(f"t{number}")) for number in range(count)]


def sizes(outputs: list[Output]) -> list[int]:
    portions = list(transactions(outputs))
    assert [output for portion in portions for output in portion] == outputs
    return [len(portion) for portion in portions]


def test_a_watermark_goes_behind_the_tombstones_in_a_transaction_of_its_own() -> None:
    assert sizes([*tombstones(3), WATERMARK]) == [3, 1]
    assert sizes([WATERMARK]) == [1]


def test_many_outputs_take_several_transactions_and_none_takes_none() -> None:
    assert sizes([*tombstones(MOST_RECORDS + 1), WATERMARK]) == [MOST_RECORDS, 1, 1]
    assert sizes(tombstones(MOST_RECORDS)) == [MOST_RECORDS]
    assert sizes([DestroyKeys(("k",)), *tombstones(1)]) == [2]
    assert sizes([]) == []


async def test_nobody_decides_on_a_state_that_somebody_left_half_changed() -> None:
    owned, decided = Owned(Mock(), state=[]), []

    async def decide(fails: bool) -> None:
        async with owned.deciding():
            owned.state.append("half")
            await asyncio.sleep(0)
            if fails:
                raise ValueError("a bug")
            decided.append("whole")

    answers = await asyncio.gather(*map(decide, (False, True, False)), return_exceptions=True)
    with pytest.raises(ValueError, match="a bug"):
        await decide(False)
    assert [str(each) for each in answers] == ["None", "a bug", "a bug"]
    assert (owned.state, decided) == (["half"] * 2, ["whole"])
