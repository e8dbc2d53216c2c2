"""Findings travel to the eraser in portions that fit into a record."""

from pipeline.operations import findings
from pipeline.records import NoteFindings, Verified
from tests.pipeline.operations.conftest import NOW, World


def verified(number: int) -> Verified:
    return Verified(
        erasure=f"e{number}", store="persons", at=NOW, clean=True, seconds=400.0, how="every record was read"
    )


async def test_every_finding_is_noted_once(world: World) -> None:
    found = [verified(number) for number in range(2 * findings.AT_ONCE + 1)]
    await findings.note(world.client, found)
    commands = [change.value for _, _, change in world.control.sent]
    assert all(isinstance(each, NoteFindings) for each in commands)
    assert [each for command in commands for each in command.found] == found
    assert len(commands) == 3


async def test_nothing_found_is_nothing_asked(world: World) -> None:
    await findings.note(world.client, [])
    assert world.control.sent == []
