"""What the story is played on: a deployment in a home of its own, all of it running but the camera."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass, replace
from typing import Any

from connectors.keystore import KeyDestroyed, KeyStore, SealBroken
from pipeline import codec, identifiers, wiring
from pipeline.demo import Plan
from pipeline.demo.camera import NAME, Scenery
from pipeline.demo.register import Register
from pipeline.demo.screen import Screen
from pipeline.demo.story import FACE_TTL
from pipeline.home import Home
from pipeline.machine.preparation import prepared
from pipeline.machine.programs import Machine, capture_name, machine
from pipeline.machine.supervisor import Supervisor
from pipeline.records import Frame
from pipeline.settings import FILE, Settings, load
from pipeline.topology import FRAMES, STAGES
from pipeline.wiring.asking import ModelPortraitist, client, operator

FPS = 5


def furnished(home: Home, plan: Plan, scenery: Scenery) -> Settings:
    """Write the settings file and read it, so that every process of the demo finds the same."""
    camera = {"name": NAME, **scenery.source, "fps": FPS, "policy": "latest", "face_ttl": FACE_TTL}
    # A JSON text, number or truth value is a TOML one as well.
    lines = [f"{key} = {json.dumps(value)}" for key, value in camera.items()]
    models = [f"{key} = {json.dumps(value)}" for key, value in plan.models.items()]
    (home.path / FILE).write_text("\n".join(("[models]", *models, "[[camera]]", *lines, "")), encoding="utf-8")
    return load(home.path)


@dataclass(frozen=True, slots=True)
class Stage:
    """A deployment that runs, somebody who may enrol in it, and the keys to look into its frames."""

    running: Supervisor
    register: Register
    keys: KeyStore

    @property
    def addresses(self) -> str:
        """Where the services are."""
        return f"Kafka {self.running.bootstrap}, Milvus {self.running.milvus_uri}"

    async def roll(self) -> None:
        """Start the camera."""
        await self.running.add("capture", NAME)

    async def cut(self) -> None:
        """End the camera."""
        await self.running.stop(f"capture-{NAME}")

    def opened(self, frame: Frame) -> bytes | None:
        """A frame's JPEG, None once its key is destroyed."""
        place = identifiers.frame_place(frame.id)
        with suppress(KeyDestroyed, SealBroken):
            return codec.unseal(self.keys, frame.image, topic=FRAMES, key=place, field="image")
        return None


@asynccontextmanager
async def staged(home: Home, settings: Settings, scenery: Scenery, screen: Screen) -> AsyncIterator[Stage]:
    """Start everything but the camera, end everything afterwards; footage and models get ready while Kafka starts."""
    screen.waiting("starting everything; the first time, Kafka is fetched (44 MB) and the models are converted")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(scenery.stop)
        models = asyncio.create_task(prepared(lambda: wiring.face_models(settings)))
        filming = asyncio.create_task(scenery.start(screen.step))
        stack.push_async_callback(abandoned, models, filming)
        parts = _without_camera(machine(home, settings), settings)
        running = await stack.enter_async_context(Supervisor(home, settings, progress=screen.step, parts=parts))
        await filming
        deployment = settings.deployment()
        keys = stack.enter_context(closing(wiring.key_store(settings, home)))
        access = wiring.kafka_access(settings, home)
        asking = await stack.enter_async_context(client(access, deployment, keys, operator()))
        admin = stack.enter_context(closing(wiring.admin(settings, home)))
        yield Stage(running, Register(asking, ModelPortraitist(await models), admin, deployment), keys)


def _without_camera(parts: Machine, settings: Settings) -> Machine:
    """The camera is one program more, which the story starts when somebody is enrolled; it needs no API."""
    cameras = {capture_name(each): parts.programs[capture_name(each)] for each in settings.cameras}
    stages = {name: program for name, program in parts.programs.items() if name in STAGES}
    return replace(parts, programs=stages, another=lambda kind, name: cameras[f"{kind}-{name}"])


async def abandoned(*tasks: "asyncio.Task[Any]") -> None:
    """End tasks whose results nobody wants any more."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
