"""A deployment in the test's own process: the real stages in their shells on a real Kafka, and the application.

Its clock is the test's: whoever moves it lets faces expire and keys end.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import httpx
from fastapi import FastAPI

from connectors.footage import portraits
from connectors.kafka import KafkaAccess
from connectors.keystore import KeyStore
from connectors.milvus import Milvus
from pipeline import wiring
from pipeline.api import keys as api_keys
from pipeline.api.application import application
from pipeline.api.callers import Callers
from pipeline.api.keys import ApiKeys
from pipeline.api.opening import opened
from pipeline.api.rates import Rates
from pipeline.api.service import Service
from pipeline.home import Home
from pipeline.keeper import Keeper
from pipeline.metrics import Metrics
from pipeline.settings import Settings, parse
from pipeline.shell.attempts import Attempts
from pipeline.shell.meter import Meter
from pipeline.shells import shell
from pipeline.topology import STAGES
from pipeline.wiring import Parts
from pipeline.wiring.erasing import promised
from pipeline.wiring.galleries.generations import Generations
from pipeline.worker import Worker
from tests.pipeline.conftest import fresh_cluster
from tests.pipeline.receipts.signing import SIGNER

STAGES_OF_THE_API = ("control", "expire", "enrol", "erase")
KEY_HEADER = "Ocp-Apim-Subscription-Key"
BASE = "http://face.test"


class Clock:
    """The present, as far as the deployment knows: the wall's, and what a test has added."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._ahead += timedelta(seconds=seconds)


@dataclass(frozen=True)
class House:
    """A running deployment; `http` sends a live key to the application, which answers below `version`."""

    home: Home
    settings: Settings
    access: KafkaAccess
    keys: KeyStore
    clock: Clock
    service: Service
    app: FastAPI
    http: httpx.AsyncClient
    key: str
    callers: Callers
    metrics: Metrics
    parts: Parts

    async def ask(self, method: str, path: str, version: str = "v1.2-preview.1", **given: Any) -> httpx.Response:
        """A request below a version's address."""
        return await self.http.request(method, f"/face/{version}{path}", **given)

    async def done(self, method: str, path: str, body: Any = None, **given: Any) -> Any:
        """What a request is answered that succeeds, None for an empty answer."""
        answer = await self.ask(method, path, json=body, **given)
        assert answer.status_code in (200, 202), (path, answer.status_code, answer.text)
        return answer.json() if answer.content else None

    async def refused(self, method: str, path: str, body: Any = None, **given: Any) -> tuple[int, str]:
        """Status and code of a request that is refused as the contract has it."""
        answer = await self.ask(method, path, json=body, **given)
        error = answer.json()["error"]
        assert answer.headers["x-ms-error-code"] == error["code"]
        assert error["message"]
        return answer.status_code, error["code"]

    async def sent(self, path: str, photo: bytes, **query: str) -> Any:
        """What the image of a photo is answered."""
        answer = await self.ask("POST", path, params=query, content=photo, headers=OCTETS)
        assert answer.status_code in (200, 202), (path, answer.status_code, answer.text)
        return answer.json()

    async def detected(self, photo: bytes, **query: str) -> str:
        """The faceId of the largest face of a photo, of recognition_04 unless the query says otherwise."""
        found = await self.sent("/detect", photo, **{"recognitionModel": "recognition_04", **query})
        return str(found[0]["faceId"])

    async def trained(self, path: str) -> None:
        """Train a large list or a group, and wait until it is."""
        await self.done("POST", f"{path}/train")
        async with asyncio.timeout(30):
            while (await self.done("GET", f"{path}/training"))["status"] != "succeeded":  # noqa: ASYNC110
                await asyncio.sleep(0.1)


OCTETS = {"Content-Type": "application/octet-stream"}


@asynccontextmanager
async def house(
    bootstrap: str,
    milvus: str,
    folder: Path,
    *,
    stages: Sequence[str] = STAGES_OF_THE_API,
    **tables: Mapping[str, Any],
) -> AsyncIterator[House]:
    """A deployment with topics of its own; `tables` are further ones of the settings file."""
    cluster = fresh_cluster(KafkaAccess(bootstrap))
    given = {
        "kafka": {"bootstrap": bootstrap, "prefix": cluster.deployment.prefix},
        "milvus": {"uri": milvus},
        # No identify runs here that could be waited for.
        "erase": {"patience": 0},
        **tables,
    }
    home, clock = Home(folder), Clock()
    home.prepare()
    settings = parse(given, folder)
    async with AsyncExitStack() as stack:
        parts = Parts(
            settings=settings,
            keys=stack.enter_context(closing(KeyStore.create(home.keys, now=clock))),
            secret=home.secret(),
            catalogue=wiring.catalogue(),
            models=lambda: wiring.face_models(settings),
            milvus=lambda: wiring.milvus(settings, home),
            signer=lambda: SIGNER,
            bounds=lambda: promised(cluster.access, cluster.deployment),
        )
        if "enrol" in stages:
            stack.callback(_emptied, milvus)
        for name in stages:
            await stack.enter_async_context(running(name, parts, cluster.access, home, clock))
        yield await _opened(stack, parts, cluster.access, home, clock)


def _emptied(milvus: str) -> None:
    """Leave no generation behind: whoever comes next to this Milvus has another key store."""
    with closing(Milvus(milvus)) as store:
        for name in (name for names in Generations(store).all().values() for name in names):
            store.drop(name)


@asynccontextmanager
async def replica(first: House) -> AsyncIterator[House]:
    """A second server of the same deployment, with views of its own."""
    async with AsyncExitStack() as stack:
        yield await _opened(stack, first.parts, first.access, first.home, first.clock)


async def _opened(stack: AsyncExitStack, parts: Parts, access: KafkaAccess, home: Home, clock: Clock) -> House:
    settings = parts.settings
    service = await stack.enter_async_context(opened(parts, access, wiring.observers(settings), clock=clock))
    live, metrics = ApiKeys(home.api_keys), Metrics("api")
    callers = Callers(live, Rates(settings.api.rate, settings.api.burst, lambda: clock().timestamp()))
    app = application(service, callers, metrics, service.client.new_id)
    key, _ = api_keys.read(home.api_keys)
    transport = httpx.ASGITransport(app)
    http = httpx.AsyncClient(transport=transport, base_url=BASE, headers={KEY_HEADER: key}, timeout=60)
    await stack.enter_async_context(http)
    return House(home, settings, access, parts.keys, clock, service, app, http, key, callers, metrics, parts)


@asynccontextmanager
async def running(
    name: str, parts: Parts, access: KafkaAccess, home: Home, clock: Callable[[], datetime]
) -> AsyncIterator[None]:
    """A stage in its own shell, as `faceline worker` runs it."""
    stop = asyncio.Event()
    task = asyncio.create_task(_shell(name, parts, access, home, clock).run(stop))
    try:
        yield
    finally:
        stop.set()
        await task


def _shell(name: str, parts: Parts, access: KafkaAccess, home: Home, clock: Callable[[], datetime]) -> Keeper | Worker:
    attempts, meter = Attempts(home.state / f"{name}.attempts"), Meter(Metrics(name), name, STAGES[name].input.name)
    folder = home.state / f"faust-{name}"
    return shell(name, parts, access, attempts, meter, instance="0", folder=folder, clock=clock)


def photos() -> dict[str, bytes]:
    """Each of the two people of the samples twice, the second time larger and mirrored; and both in one picture."""
    found = {}
    for name, image in portraits().items():
        first = name.split()[0].lower()
        found[first] = _jpeg(_of_height(image, 768))
        found[f"{first} again"] = _jpeg(cv2.flip(_of_height(image, 900), 1))
    found["both"] = _jpeg(cv2.hconcat([_of_height(image, 900) for image in portraits().values()]))
    return found


def _of_height(image: Any, pixels: int) -> Any:
    scale = pixels / image.shape[0]
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)


def _jpeg(image: Any) -> bytes:
    done, encoded = cv2.imencode(".jpg", image)
    assert done
    return encoded.tobytes()
