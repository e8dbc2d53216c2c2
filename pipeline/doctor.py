"""Looks at everything a deployment needs and says, one line each, whether it is well, and if not, what cures it."""

import asyncio
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from pydantic import BaseModel

from connectors import ServiceRefused, ServiceUnavailable
from connectors.source import parse_source
from models import ModelError
from pipeline import topics, wiring
from pipeline.api import keys
from pipeline.api.listening import address, certificate, listener
from pipeline.erasing.bounds import MILVUS, Bound
from pipeline.erasing.times import told
from pipeline.home import Home, HomeError
from pipeline.settings import API, FILE, Camera, Settings, SettingsError
from pipeline.wiring import receipts

State = Literal["ok", "wrong", "idle"]

ENOUGH_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found; `idle` where the thing is not running, which may be as it should be.

    `mistake` says that somebody has to correct something; what is wrong without one may come back by itself.
    """

    subject: str
    state: State
    text: str
    mistake: bool = False


Look = Callable[[Home, Settings], str]


class NotRunningError(Exception):
    """There is nothing to look at: the deployment is not running here."""


def examine(home: Home, settings: Settings, looks: Mapping[str, Look] | None = None) -> Iterator[Finding]:
    """Look at one thing after the other; a look that fails is a finding, and the next one follows."""
    wrong = set()
    for subject, look in (LOOKS if looks is None else looks).items():
        if (basis := NEEDS.get(subject)) in wrong:
            yield Finding(subject, "idle", f"cannot be looked at before {basis} is well")
            continue
        finding = _finding(subject, look, home, settings)
        if finding.state == "wrong":
            wrong.add(subject)
        yield finding
    for camera in settings.cameras:
        yield _finding(f"camera {camera.name}", partial(_camera, camera), home, settings)


def changed(settings: BaseModel) -> dict[str, Any]:
    """The settings that are not the defaults, as table -> name -> value; what may hold a password is left out."""
    found: dict[str, Any] = {}
    for name, info in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, BaseModel):
            inner = changed(value)
            found |= {name: inner} if inner else {}
        elif info.repr and value != info.get_default() and not _holds_tables(value):
            found[name] = value
    return found


def _holds_tables(value: object) -> bool:
    return isinstance(value, tuple) and any(isinstance(item, BaseModel) for item in value)


def _finding(subject: str, look: Look, home: Home, settings: Settings) -> Finding:
    try:
        return Finding(subject, "ok", look(home, settings))
    except NotRunningError as reason:
        return Finding(subject, "idle", str(reason))
    except (SettingsError, HomeError, ServiceRefused, ModelError) as trouble:
        return Finding(subject, "wrong", str(trouble), mistake=True)
    except (ServiceUnavailable, OSError) as trouble:
        return Finding(subject, "wrong", str(trouble))


def _settings(home: Home, settings: Settings) -> str:
    file = home.path / FILE
    told = "; ".join(f"[{table}] {_pairs(values)}" for table, values in changed(settings).items())
    where = str(file) if file.exists() else f"no {FILE} in {home.path} (write one with: faceline init)"
    return f"{where}; {told or 'all defaults'}; cameras: {len(settings.cameras)}"


def _pairs(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in values.items())


def _home(home: Home, _: Settings) -> str:
    home.prepare()
    free = shutil.disk_usage(home.path).free
    if free < ENOUGH_BYTES:
        raise HomeError(f"{home.path} has {free >> 20} MiB left; free some space, Kafka stops on a full disk")
    return f"{home.path}, {free >> 30} GiB free"


def _keys(home: Home, settings: Settings) -> str:
    return wiring.examined(settings, home)


def _receipts(home: Home, settings: Settings) -> str:
    return receipts.examined(settings, home)


def _kafka(home: Home, settings: Settings) -> str:
    running = _needs(home, settings.kafka.bootstrap, "Kafka")
    wiring.admin(settings, home).ready()
    return f"answers at {settings.kafka.bootstrap or running}"


def _topics(home: Home, settings: Settings) -> str:
    _needs(home, settings.kafka.bootstrap, "Kafka")
    _, found = topics.survey(wiring.admin(settings, home), settings.deployment())
    troubles: Iterable[object] = (
        *(f"{plan.name} is missing" for plan in found.missing),
        *found.differences,
        *found.wrong_counts,
    )
    text = "; ".join(map(str, troubles))
    if text:
        raise ServiceRefused(f"{text}; repair with: faceline topics apply")
    return "as the map says"


def _erasure(home: Home, settings: Settings) -> str:
    from pipeline.wiring.erasing import all_bounds, rebuilt_within  # here, as all that loads a client of Kafka

    _needs(home, settings.kafka.bootstrap, "Kafka")
    access, deployment = wiring.kafka_access(settings, home), settings.deployment()
    found = asyncio.run(all_bounds(access, deployment, rebuilt_every=rebuilt_within(settings)))
    # The files of a Milvus server have no bound that it tells: that is said, and is nobody's mistake.
    void = [bound.why for bound in found if bound.seconds is None and bound.store != MILVUS]
    if void:
        raise ServiceRefused("; ".join(void))
    return f"what is deleted is gone from {', '.join(f'{each.store} {_after(each)}' for each in found)}"


def _after(bound: Bound) -> str:
    return f"at no promised time ({bound.why})" if bound.seconds is None else f"after {told(bound.seconds)}"


def _milvus(home: Home, settings: Settings) -> str:
    running = _needs(home, settings.milvus.uri, "Milvus")
    wiring.milvus(settings, home).names()
    return f"answers at {settings.milvus.uri or running}"


def model_faults(settings: Settings, pack: str) -> list[str]:
    """What is wrong with the files of a pack, one line each; ModelError for a pack that is not there."""
    states = wiring.model_store(settings).verify(wiring.catalogue().pack(pack))
    return [f"{file} {state}" for file, state in states if state != "ok"]


def _models(_: Home, settings: Settings) -> str:
    pack = settings.models.pack
    faults = model_faults(settings, pack)
    if faults:
        raise ModelError(f"pack {pack}: {'; '.join(faults)}; get it with: faceline models pull")
    return f"pack {pack}, every file has its checksum, in {wiring.model_store(settings).folder}"


def _api(home: Home, settings: Settings) -> str:
    certificate(settings.api)
    if (settings.api.keys_file or home.api_keys).exists():
        keys.read(settings.api.keys_file or home.api_keys)
    for name in sorted(settings.packs()):
        wiring.catalogue().pack(name)
    running = home.running()
    if running is not None:
        process = running.processes.get(API)
        return f"at {process.address}" if process and process.address else "starting"
    with listener(settings.api, home) as bound:
        return f"will be at {address(settings.api, bound)}"


def _provider(_: Home, settings: Settings) -> str:
    if model_faults(settings, settings.models.pack):
        raise NotRunningError("cannot be tried without the models")
    models = wiring.face_models(settings)
    models.try_out()
    return f"{models.provider} really runs the models"


def _camera(camera: Camera, _: Home, __: Settings) -> str:
    return f"{parse_source(camera.source()).label} is something that can be read"


def _needs(home: Home, given: str | None, what: str) -> str:
    running = home.running()
    if given is None and running is None:
        raise NotRunningError(f"{what} is our own and not running; start it with: faceline up")
    if given is not None or running is None:
        return str(given)
    return running.bootstrap if what == "Kafka" else running.milvus_uri


LOOKS: Mapping[str, Look] = {
    "settings": _settings,
    "home": _home,
    "keys": _keys,
    "receipts": _receipts,
    "kafka": _kafka,
    "topics": _topics,
    "erasure": _erasure,
    "milvus": _milvus,
    "models": _models,
    "provider": _provider,
    "api": _api,
}
# What rests on another thing would only repeat what is wrong with that.
NEEDS: Mapping[str, str] = {"topics": "kafka", "erasure": "kafka"}
