"""One stage as a process: its lock, its logs, its metrics, its shell, and how it ends.

Exit codes: 0 asked to end; 2 a person's mistake; 69 a service is absent, 70 a bug - the supervisor starts it again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

from aiokafka.errors import KafkaError  # type: ignore[import-untyped]
from filelock import FileLock, Timeout

from connectors import ServiceRefused, ServiceUnavailable, kafka
from pipeline import wiring
from pipeline.home import Home, HomeError
from pipeline.metrics import Metrics, serve
from pipeline.settings import API, FILE, Camera, Settings, SettingsError
from pipeline.shell.attempts import Attempts
from pipeline.shell.meter import Meter
from pipeline.shells import shell
from pipeline.topology import CLIENT, DETECT, ENROL, STAGES, Node

if TYPE_CHECKING:
    from connectors.kafka import KafkaAccess
    from pipeline.wiring import Parts

log = logging.getLogger(__name__)

MISTAKE = 2
UNAVAILABLE = 69
BUG = 70
GRACE_S = 4.0
PLAIN_INSTANCE = "0"
API_THREADS = 64
# Besides one for every partition that waits for a gallery: keys, files, the addresses of hosts.
STAGE_THREADS = 8


async def run_stage(settings: Settings, home: Home, name: str, instance: str) -> int:
    """Run a stage until SIGTERM or SIGINT; HomeError when this instance runs already."""
    process = name if instance == PLAIN_INSTANCE else f"{name}-{instance}"
    with _alone(home, process):
        attempts = Attempts(home.state / f"{process}.attempts")
        stop = _asked_to_end()
        threads = STAGE_THREADS + settings.deployment().scale.partitions(STAGES[name].input)
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(threads))
        metrics = Metrics(process)
        meter = Meter(metrics, name, STAGES[name].input.name)
        await _announced(settings, home, process, metrics, meter.trouble)
        expected = asyncio.get_running_loop().run_in_executor(None, _expect_topics, settings, home, STAGES[name])
        try:
            # Meanwhile: the answer takes its time, and so does loading the engines.
            parts, access = wiring.parts(settings, home), wiring.kafka_access(settings, home)
            folder = home.state / f"faust-{name}-{instance}"
            stage = shell(name, parts, access, attempts, meter, instance=instance, folder=folder, clock=settings.now)
        finally:
            await expected
        work = _renewing(stage.run(stop), parts, access) if name == ENROL.name else stage.run(stop)
        return await _until_stopped(work, stop, attempts.acquit)


async def _renewing(work: Coroutine[Any, Any, None], parts: Parts, access: KafkaAccess) -> None:
    """Beside the stage that writes the index, what makes it anew now and then; that ends with the stage."""
    from pipeline.wiring.galleries.renewing import keep_renewed  # no other stage needs what it loads

    renewal = asyncio.create_task(keep_renewed(parts, access))
    try:
        await work
    finally:
        renewal.cancel()
        await asyncio.gather(renewal, return_exceptions=True)


async def run_api(settings: Settings, home: Home, port: int | None = None) -> int:
    """Serve the Face API until SIGTERM or SIGINT; on `port` instead of the settings', as one more of several."""
    from pipeline.api import listening, opening, serving  # they load FastAPI, and no stage needs it
    from pipeline.api.application import application
    from pipeline.api.callers import Callers
    from pipeline.api.keys import ApiKeys
    from pipeline.api.rates import Rates

    process = API if port is None else f"{API}-{port}"
    listening.certificate(settings.api)
    with _alone(home, process), closing(listening.listener(settings.api, home, port)) as bound:
        keys = ApiKeys(settings.api.keys_file or home.api_keys)
        stop = _asked_to_end()
        metrics, pulse = Metrics(process), serving.Pulse()
        await _announced(
            settings, home, process, metrics, pulse.trouble, address=listening.address(settings.api, bound)
        )
        await asyncio.to_thread(_expect_topics, settings, home, CLIENT)
        callers = Callers(keys, Rates(settings.api.rate, settings.api.burst, time.monotonic))

        # Searches wait in threads for an absent Milvus: they must not take those of everybody else.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(API_THREADS))

        async def work() -> None:
            parts, access = wiring.parts(settings, home), wiring.kafka_access(settings, home)
            async with opening.opened(parts, access, wiring.observers(settings)) as service:
                app = application(service, callers, metrics, service.client.new_id)
                answering = serving.serve(app, settings.api, bound, stop)
                await serving.until_one_ends(answering, pulse.watch(service))

        return await _until_stopped(work(), stop, lambda: None)


async def run_capture(settings: Settings, home: Home, camera: Camera) -> int:
    """Read a camera until SIGTERM, SIGINT, or the end of its file; HomeError when the camera is read already."""
    from pipeline.capture import connections  # it loads PyAV, and no stage needs it

    process = f"capture-{camera.name}"
    deployment = settings.deployment()
    with _alone(home, process):
        stop = _asked_to_end()
        metrics = Metrics(process)
        await _announced(settings, home, process, metrics, lambda: None)
        reading = connections.run(
            camera,
            access=wiring.kafka_access(settings, home),
            deployment=deployment,
            group=deployment.group(DETECT),
            keys=wiring.key_store(settings, home),
            clock=settings.now,
            random=random.Random(),  # noqa: S311 - jitter
            stop=stop,
            metrics=metrics,
        )
        return await _until_stopped(reading, stop, lambda: None)


@contextmanager
def _alone(home: Home, process: str) -> Iterator[None]:
    """Two live members of one instance id would eject each other from the group for ever."""
    lock = FileLock(home.state / f"{process}.lock", mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise HomeError(f"{process} runs already in the home {home.path}; give another --instance") from None
    try:
        yield
    finally:
        lock.release()


def _asked_to_end() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    return stop


async def _announced(
    settings: Settings,
    home: Home,
    process: str,
    metrics: Metrics,
    trouble: Callable[[], str | None],
    address: str = "",
) -> None:
    kafka.quiet_logs()
    wanted = settings.metrics_port(process)
    try:
        port = await serve(metrics, trouble, port=wanted)
    except OSError:
        raise SettingsError(
            [f"{FILE}: [metrics] port: {wanted} is taken, which {process} needs; give another"]
        ) from None
    home.announce(process, port, address)


def _expect_topics(settings: Settings, home: Home, node: Node) -> None:
    """A client would wait for a missing topic for ever, and never say why it may not read one."""
    deployment = settings.deployment()
    read = () if node.reads is None else (node.reads,)
    needed = {*node.follows, *node.replays, *node.writes, *read}
    admin = wiring.admin(settings, home)
    try:
        missing = sorted({deployment.name(topic) for topic in needed} - admin.topics())
    finally:
        admin.close()
    if missing:
        raise ServiceUnavailable(f"there is no topic {', '.join(missing)}; make them with: faceline topics apply")


async def _until_stopped(work: Coroutine[Any, Any, int | None], stop: asyncio.Event, acquit: Callable[[], None]) -> int:
    """Do the work; where it fails, end at once: nothing may be acknowledged after a failure."""
    working = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
        # A stage that waits for an absent service never ends by itself; what it has in hand is read again.
        code = await asyncio.wait_for(working, GRACE_S if stop.is_set() else None) or 0
    except TimeoutError:
        acquit()
        _end(0)
    except (KafkaError, ServiceUnavailable) as error:
        # Whatever record was in hand, it is not to blame.
        acquit()
        log.error("a service is absent (%s): ending, to be started again", type(error).__name__)  # noqa: TRY400
        _end(UNAVAILABLE)
    except ServiceRefused as refusal:
        # A person's to mend, and until then it would end the process over every record alike.
        acquit()
        log.error("%s: ending, to be started again", refusal)  # noqa: TRY400
        _end(MISTAKE)
    except Exception:
        log.exception("ending before anything is acknowledged")
        _end(BUG)
    else:
        acquit()
        return code
    finally:
        stopping.cancel()


def _end(code: int) -> NoReturn:
    for handler in logging.getLogger().handlers:
        with suppress(OSError):
            handler.flush()
    os._exit(code)
