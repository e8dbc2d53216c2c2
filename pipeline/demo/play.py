"""Plays the demo: sets the stage, reads its topics, tells the story, and settles the accounts."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import psutil

from pipeline import logs, wiring
from pipeline.balance import Balance, read_books
from pipeline.codec import Received
from pipeline.demo import Plan, sheet
from pipeline.demo.camera import OwnVideo, SampleCamera, Scenery
from pipeline.demo.closing import settled, told
from pipeline.demo.screen import Screen
from pipeline.demo.snapshots import Snapshots
from pipeline.demo.stage import abandoned, furnished, staged
from pipeline.demo.story import Story
from pipeline.demo.witness import TOPICS, Witness
from pipeline.home import Home
from pipeline.operations.watch import name_of
from pipeline.settings import Settings
from pipeline.views import Follower
from pipeline.wiring.asking import reader


async def play(home: Home, plan: Plan, screen: Screen) -> bool:
    """Play the story to its end; whether everything was as it should be.

    Every process has ended when this returns or raises. Mistakes and absent services are raised as everywhere.
    """
    screen.chapter("Faceline. What you see is real, and on this machine alone: Kafka, Milvus, a camera, face models.")
    home.prepare()
    scenery: Scenery = SampleCamera(home) if plan.video is None else OwnVideo(plan.video, plan.people)
    settings = furnished(home, plan, scenery)
    logs.configure(home, settings.logs, "supervisor")
    async with staged(home, settings, scenery, screen) as stage:
        snapshots = Snapshots(stage.opened)
        witness = Witness(lambda told: name_of(stage.register.client, told), screen)
        async with _read(home, settings, witness, snapshots):
            screen.say(f"{stage.addresses}, camera {scenery.label}")
            began = datetime.fromtimestamp(psutil.Process().create_time(), UTC)
            story = Story(plan, stage.register, witness, snapshots, screen, stage.roll, began)
            await story.play(scenery.people)
            if plan.keep:
                _sheet(snapshots, plan, screen)
                await _until_asked(home, screen)
            screen.waiting("ending the camera, and waiting until every frame is accounted for")
            await stage.cut()
            found = await _settled(home, settings)
            if not plan.keep:
                _sheet(snapshots, plan, screen)
            _tell(found, screen)
        screen.waiting("ending every process")
    faults = _faults(plan, story, witness, found)
    for fault in faults:
        screen.say(f"not as it should be: {fault}")
    return not faults


@asynccontextmanager
async def _read(home: Home, settings: Settings, witness: Witness, snapshots: Snapshots) -> AsyncIterator[None]:
    """Follow the topics while the block runs."""

    def take(received: Received) -> None:
        snapshots.take(received)
        passage = witness.take(received)
        if passage is not None:
            snapshots.mark(passage)

    def ended(task: "asyncio.Task[None]") -> None:
        if not task.cancelled():
            witness.fail(task.exception() or RuntimeError("the reading of the topics ended by itself"))

    consumer = reader(wiring.kafka_access(settings, home))
    follower = Follower(consumer, settings.deployment(), TOPICS, take, clock=settings.now)
    try:
        await follower.start()
        running = asyncio.create_task(follower.run())
        running.add_done_callback(ended)
        try:
            yield
        finally:
            await abandoned(running)
    finally:
        await follower.stop()


def _sheet(snapshots: Snapshots, plan: Plan, screen: Screen) -> None:
    """Write the contact sheet, where anybody was seen."""
    snapshots.end()
    screen.archive()
    if any(chapter.snapshots for chapter in snapshots.chapters):
        sheet.write(snapshots.chapters, plan.sheet)
        screen.chapter(f"Contact sheet: {plan.sheet.absolute()}")
        screen.say("opened from the sealed frames while their keys lived; it holds faces and names: yours to delete")


async def _until_asked(home: Home, screen: Screen) -> None:
    """Wait for Ctrl-C, which is how an audience that stays leaves."""
    screen.say(f"in another terminal: faceline --home {home.path} watch")
    screen.waiting("everything goes on until Ctrl-C")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()


async def _settled(home: Home, settings: Settings) -> dict[str, Balance]:
    access = wiring.kafka_access(settings, home)
    return await settled(lambda: read_books(lambda: reader(access), settings.deployment(), settings.now))


def _tell(found: Mapping[str, Balance], screen: Screen) -> None:
    screen.archive()
    screen.chapter("What became of every frame, from the topics alone:")
    for camera, balance in found.items():
        screen.say(told(camera, balance))


def _faults(plan: Plan, story: Story, witness: Witness, found: Mapping[str, Balance]) -> list[str]:
    """What must not be. That people do not pass a camera of the user's own is none."""
    faults = [f"{missed} was not seen" for missed in story.missed] if plan.sample else []
    if not all(balance.holds for balance in found.values()):
        faults.append("frames are missing from the balance")
    if witness.ghosts:
        faults.append(f"{witness.ghosts} identifications name a person after the tombstones")
    return faults
