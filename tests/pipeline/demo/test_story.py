"""The story where it does not go as planned: a photo that is refused, people who do not pass, no picture at all."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.demo import Plan, story
from pipeline.demo.snapshots import Snapshots
from pipeline.demo.story import Story
from pipeline.demo.witness import Witness
from pipeline.operations import Refused, Unanswered
from pipeline.operations.album import Wanted
from pipeline.topology import FACES, PERSONS, TEMPLATES
from tests.pipeline.demo.records import Noted, face, frame, identification, tombstone

ADA, BEN, CAT = (Wanted(name, (Path(f"{name}.jpg"),)) for name in ("Ada", "Ben", "Cat"))


@dataclass
class Register:
    """Enrols whom it does not refuse, and tells the witness what the topics would."""

    witness: Witness
    refuse: str = ""
    asked: list[str] = field(default_factory=list)

    async def open(self) -> None:
        self.asked.append("open")

    async def enrol(self, wanted: Wanted) -> str:
        if wanted.name == self.refuse:
            raise Refused(f"{wanted.name}.jpg: no face found")
        self.asked.append(wanted.name)
        return wanted.name

    async def indexed(self) -> None:
        self.asked.append("indexed")

    async def forget(self, person: str) -> int:
        self.witness.take(tombstone(PERSONS, person, 5))
        self.witness.take(tombstone(TEMPLATES, f"{person}/1", 5))
        return 2


@dataclass
class Scene:
    """A story, and what the camera will have shown once it rolls."""

    screen: Noted = field(default_factory=Noted)
    refuse: str = ""
    sample: bool = False
    rolls: Callable[[Witness], object] = lambda _: None

    def __post_init__(self) -> None:
        witness = Witness(lambda told: told.person_id, self.screen)
        self.register = Register(witness, self.refuse)

        async def roll() -> None:
            self.rolls(witness)

        plan = Plan(video=None if self.sample else "rtsp://camera.local")
        snapshots = Snapshots(lambda frame: None)
        self.story = Story(
            plan, self.register, witness, snapshots, self.screen, roll, datetime.now(UTC) - timedelta(seconds=12)
        )


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SAMPLE_PATIENCE", "OWN_PATIENCE", "TOMBSTONE_PATIENCE", "PICTURE_PATIENCE", "PAUSE", "LONG_PAUSE"):
        monkeypatch.setattr(story, name, 0.01)


def ada_passes(witness: Witness) -> None:
    for each in (frame(0), face("f1", 0), identification("t1", "f1", 0, "Ada"), tombstone(FACES, "f0", 1)):
        witness.take(each)


async def test_without_a_picture_the_story_ends_and_says_where_to_look() -> None:
    with pytest.raises(Unanswered, match=r"no picture came from the camera .*capture-demo\.jsonl"):
        await Scene().story.play([ADA])


async def test_the_first_one_must_be_enrolled() -> None:
    with pytest.raises(Refused, match="no face found"):
        await Scene(refuse="Ada").story.play([ADA, BEN])


async def test_of_the_others_who_is_refused_is_told_and_left_out() -> None:
    scene = Scene(refuse="Ben", rolls=ada_passes)
    await scene.story.play([ADA, BEN, CAT])
    assert scene.register.asked == ["open", "Ada", "indexed", "Cat", "indexed"]
    assert "Ben.jpg: no face found" in scene.screen.said
    assert scene.screen.chapters[:2] == [
        "1  Ada is enrolled from a photo. Whoever else passes is unknown.",
        "2  Ben and Cat join, while the camera runs.",
    ]
    (told,) = [said for said in scene.screen.said if said.startswith("first name")]
    after = re.fullmatch(r"first name (\d+\.\d) s after the demo began", told)
    assert after is not None
    assert 12 <= float(after[1]) < 72


async def test_who_does_not_pass_is_missed_and_the_story_goes_on() -> None:
    scene = Scene(rolls=lambda witness: [witness.take(frame(0))])
    await scene.story.play([ADA])
    assert scene.story.missed == ["Ada before the camera"]
    assert scene.screen.said[-1] == "nobody was seen, so no faceId can end"


async def test_one_person_alone_has_nobody_to_join_and_is_forgotten() -> None:
    scene = Scene(rolls=ada_passes)
    await scene.story.play([ADA])
    assert [chapter[:6] for chapter in scene.screen.chapters] == ["1  Ada", "2  Ada", "3  A f"]
    # The stand-in for control left the identification standing: that is seen, and said.
    assert scene.story.missed == ["the tombstones", "the tombstone of a faceId"]
