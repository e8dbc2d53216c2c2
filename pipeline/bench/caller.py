"""A program that uses the Face API of a deployment, as any application would."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import cv2

from connectors.footage import GRACE_HOPPER, portraits
from pipeline.api import keys
from pipeline.bench.deployment import Deployed, until
from pipeline.settings import API

VERSION = "v1.2-preview.1"
MODELS = {"recognitionModel": "recognition_04", "detectionModel": "detection_03"}
KEY_HEADER = "Ocp-Apim-Subscription-Key"
READY_SECONDS = 60.0
PHOTO_HEIGHT = 720
# As many requests as a second has for a program, so that it is the service which is measured.
OPEN_TABLE: Mapping[str, Any] = {"port": 0, "rate": 1_000_000.0, "burst": 1_000_000}


@dataclass(frozen=True, slots=True)
class Answered:
    """Status, body and seconds of one request."""

    status: int
    body: Any
    seconds: float


@dataclass(frozen=True, slots=True)
class Caller:
    """Asks with a live key; several requests at once are several connections."""

    session: aiohttp.ClientSession
    address: str

    async def ask(self, method: str, path: str, body: Any = None, **given: Any) -> Answered:
        """One request below the version's address; what cannot be sent or read is raised."""
        began = time.perf_counter()
        url = f"{self.address}/face/{VERSION}{path}"
        async with self.session.request(method, url, json=body, **given) as answer:
            content = await answer.read()
            told = await answer.json() if content else None
            return Answered(answer.status, told, time.perf_counter() - began)

    async def done(self, method: str, path: str, body: Any = None, **given: Any) -> Answered:
        """A request that must succeed; RuntimeError with its status where it does not."""
        answer = await self.ask(method, path, body, **given)
        if answer.status not in (200, 202):
            raise RuntimeError(f"{method} of the benchmark was answered {answer.status}")
        return answer

    async def detected(self, photo: bytes) -> Answered:
        """Detect the faces of a photo, with faceIds."""
        return await self.done("POST", "/detect", data=photo, params=MODELS)

    async def trained(self, path: str) -> None:
        """Train a group or a large list, and wait until it is."""
        await self.done("POST", f"{path}/train")
        while (await self.done("GET", f"{path}/training")).body["status"] != "succeeded":  # noqa: ASYNC110
            await asyncio.sleep(0.1)


@asynccontextmanager
async def calling(deployment: Deployed) -> AsyncIterator[Caller]:
    """A caller of the deployment's API, once that answers."""
    home = deployment.home

    def announced() -> str:
        running = home.running()
        process = None if running is None else running.processes.get(API)
        return "" if process is None else process.address

    await until(lambda: announced() != "", "the API's address", READY_SECONDS)
    key, _ = keys.read(home.api_keys)
    limits = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=limits, headers={KEY_HEADER: key}) as session:
        caller = Caller(session, announced())
        async with asyncio.timeout(READY_SECONDS):
            while not await _answers(caller):  # noqa: ASYNC110 - another process sets no event
                await asyncio.sleep(0.1)
        yield caller


async def _answers(caller: Caller) -> bool:
    try:
        return (await caller.ask("GET", "/facelists")).status == 200
    except aiohttp.ClientConnectionError:
        return False


def photo() -> bytes:
    """A JPEG of one person, 720 pixels high."""
    image = portraits()[GRACE_HOPPER]
    scale = PHOTO_HEIGHT / image.shape[0]
    _, encoded = cv2.imencode(".jpg", cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
    return encoded.tobytes()
