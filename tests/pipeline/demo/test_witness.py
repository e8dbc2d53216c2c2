"""What a reader of the topics knows: what stands, what has ended, and whether anybody was named too late."""

import asyncio

import pytest

from pipeline.demo.witness import Witness
from pipeline.topology import FACES, IDENTIFICATIONS, PERSONS, TEMPLATES
from tests.pipeline.demo.records import Noted, face, frame, identification, tombstone

NAMES = {"p1": "Eileen Collins"}


def witness(screen: Noted | None = None) -> Witness:
    return Witness(lambda told: NAMES.get(told.person_id or ""), screen or Noted())


def test_an_identification_is_a_passage_with_a_name_and_a_latency() -> None:
    screen = Noted()
    seen = witness(screen)
    seen.take(frame(1))
    passage = seen.take(identification("t1", "f1", 1, "p1"))
    assert passage is not None
    assert (passage.label, passage.likeness, round(passage.latency_ms)) == ("Eileen Collins", "0.900", 85)
    assert seen.frames == 1
    assert seen.named("p1") == screen.passages == [passage]


def test_unknown_and_forgotten_persons_have_no_name() -> None:
    seen = witness()
    labels = [seen.take(identification(track, "f", 1, person)) for track, person in (("t1", None), ("t2", "p9"))]
    assert [passage.label for passage in labels if passage] == ["unknown", "(forgotten)"]


def test_tombstones_are_told_and_take_the_name_away() -> None:
    screen = Noted()
    seen = witness(screen)
    seen.take(identification("t1", "f1", 1, "p1"))
    for topic, key in ((PERSONS, "p1"), (TEMPLATES, "p1/a"), (IDENTIFICATIONS, "t1")):
        seen.take(tombstone(topic, key, 2))
    assert [(gone.topic, gone.key) for gone in screen.gone] == [
        ("persons", "p1"),
        ("templates", "p1/a"),
        ("identifications", "t1"),
    ]
    assert seen.named("p1") == []
    assert screen.withdrawn == ["t1"]


def test_a_face_ends_without_a_line_of_its_own() -> None:
    screen = Noted()
    seen = witness(screen)
    seen.take(face("f1", 1))
    assert list(seen.faces) == ["f1"]
    seen.take(tombstone(FACES, "f1", 61))
    assert not seen.faces
    assert list(seen.ended) == ["f1"]
    assert screen.gone == []


def test_a_name_after_its_tombstones_is_a_ghost() -> None:
    seen = witness()
    seen.take(identification("t1", "f1", 1, "p1"))
    seen.take(identification("t2", "f2", 1, "p2"))
    seen.take(tombstone(IDENTIFICATIONS, "t1", 2))
    seen.take(identification("t3", "f3", 3, "p2"))
    seen.take(identification("t4", "f4", 3, None))
    assert seen.ghosts == 0
    seen.take(identification("t5", "f5", 3, "p1"))
    assert seen.ghosts == 1


async def test_waiting_ends_with_the_news_or_with_the_time() -> None:
    seen = witness()
    waiting = asyncio.create_task(seen.until(lambda: seen.frames, 5))
    await asyncio.sleep(0)
    seen.take(frame(1))
    assert await waiting
    assert not await seen.until(lambda: seen.frames > 1, 0.01)


async def test_waiting_ends_with_the_reader() -> None:
    seen = witness()
    waiting = asyncio.create_task(seen.until(lambda: seen.frames, 5))
    await asyncio.sleep(0)
    seen.fail(OSError("the reader is gone"))
    with pytest.raises(OSError, match="gone"):
        await waiting
