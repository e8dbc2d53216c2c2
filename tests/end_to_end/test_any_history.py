"""Any history of enrolling, recognising and forgetting over HTTP, with processes that are killed, against a dict.

The deployment is a real one. A request that a crash cut off is sent again under its own request id, as the SDKs do:
it must give the first answer, and create nothing twice.
"""

import asyncio
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import platformdirs
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from pipeline.api import keys
from pipeline.bench import Bench
from pipeline.bench.caller import KEY_HEADER, OPEN_TABLE, VERSION, Caller, calling
from pipeline.bench.deployment import Deployed, deployed
from tests.conftest import SHARED
from tests.pipeline.api.house import photos

pytestmark = [pytest.mark.broker, pytest.mark.milvus, pytest.mark.timeout(600)]

MODEL = "recognition_04"
EXAMPLES, STEPS = 4, 25
KILLED = ("api", "control", "erase", "enrol")
PATIENCE = 60.0
FACES = ("eileen", "grace")
GROUPS = {"persongroups": "personGroupId", "largepersongroups": "largePersonGroupId"}
LISTS = {"facelists": "faceListId", "largefacelists": "largeFaceListId"}


class CutOffError(Exception):
    """The request may or may not have been carried out."""


again = retry(
    retry=retry_if_exception_type(CutOffError), stop=stop_after_delay(PATIENCE), wait=wait_fixed(0.2), reraise=True
)


@dataclass
class World:
    """A running deployment as a program without an event loop uses it."""

    deployment: Deployed
    loop: asyncio.AbstractEventLoop
    http: httpx.Client
    pictures: dict[str, bytes]
    probes: dict[str, str] = field(default_factory=dict)

    @again
    def _sent(self, method: str, path: str, headers: dict[str, str], given: dict[str, Any]) -> httpx.Response:
        try:
            answer = self.http.request(method, f"/face/{VERSION}{path}", headers=headers, **given)
        except httpx.TransportError as error:
            raise CutOffError from error
        assert answer.status_code < 500 or answer.status_code == 503, answer.text
        if answer.status_code in (429, 503):
            raise CutOffError
        return answer

    def ask(self, method: str, path: str, body: Any = None, **given: Any) -> httpx.Response:
        """The answer to one request, however often it had to be sent."""
        headers = {"x-ms-client-request-id": str(uuid.uuid4())}
        if body is not None:
            given["json"] = body
        if "content" in given:
            headers["Content-Type"] = "application/octet-stream"
        return self._sent(method, path, headers, given)

    def done(self, method: str, path: str, body: Any = None, **given: Any) -> Any:
        answer = self.ask(method, path, body, **given)
        assert answer.status_code in (200, 202), (method, path, answer.status_code, answer.text)
        return answer.json() if answer.content else None

    def kill(self, process: str) -> None:
        """SIGKILL; the supervisor starts it again in its own time."""
        self.loop.call_soon_threadsafe(self.deployment.running.kill, process)


@contextmanager
def running(folder: Path) -> Iterator[World]:
    """A deployment in a thread of its own: the machine that hypothesis drives knows no event loop."""
    weights = SHARED / "models"
    has_weights = weights.is_dir()
    bench = Bench(folder, Path(platformdirs.user_cache_dir("faceline")), weights if has_weights else None)
    loop, ready, end = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    worlds: list[World] = []

    async def serve() -> None:
        pack = "retail" if has_weights else "dlib"
        async with deployed(bench, pack, api=True, tables={"api": OPEN_TABLE}) as deployment:
            async with calling(deployment) as caller:
                worlds.append(_world(deployment, loop, caller))
            ready.set()
            await end.wait()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        finally:
            ready.set()
            loop.close()

    thread = threading.Thread(target=run, name="deployment")
    thread.start()
    ready.wait()
    try:
        (world,) = worlds
        yield world
    finally:
        if not loop.is_closed():
            loop.call_soon_threadsafe(end.set)
        thread.join()


def _world(deployment: Deployed, loop: asyncio.AbstractEventLoop, caller: Caller) -> World:
    key, _ = keys.read(deployment.home.api_keys)
    http = httpx.Client(base_url=caller.address, headers={KEY_HEADER: key}, timeout=PATIENCE)
    return World(deployment, loop, http, photos())


@dataclass
class Group:
    """What the model knows of a group: whose faces each person has, and which of them a training has covered."""

    persons: dict[str, dict[str, str]] = field(default_factory=dict)
    trained: set[str] | None = None

    def alike(self, face: str, *, trained: bool) -> set[str]:
        """The persons who have a face of that identity, all of them or those of which a training knows."""
        known = self.trained or set()
        return {
            person
            for person, faces in self.persons.items()
            if any(whose == face and (not trained or each in known) for each, whose in faces.items())
        }


NAMES = st.sampled_from(["one", "two"])


def history(world: World) -> type[RuleBasedStateMachine]:
    """The machine; its model is a dict of groups and one of lists, by path."""

    class History(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.groups: dict[str, Group] = {}
            self.lists: dict[str, dict[str, str]] = {}

        def teardown(self) -> None:
            for path in (*self.groups, *self.lists):
                world.done("DELETE", path)

        @rule(kind=st.sampled_from([*GROUPS, *LISTS]), name=NAMES)
        def create(self, kind: str, name: str) -> None:
            path = f"/{kind}/{name}"
            taken = path in self.groups or path in self.lists
            answer = world.ask("PUT", path, {"name": "n", "recognitionModel": MODEL})
            assert answer.status_code == (409 if taken else 200), answer.text
            if not taken and kind in GROUPS:
                self.groups[path] = Group()
            elif not taken:
                self.lists[path] = {}

        @precondition(lambda self: self.groups or self.lists)
        @rule(data=st.data())
        def delete_collection(self, data: st.DataObject) -> None:
            path = data.draw(st.sampled_from(sorted([*self.groups, *self.lists])))
            world.done("DELETE", path)
            self.groups.pop(path, None)
            self.lists.pop(path, None)

        @precondition(lambda self: self.groups)
        @rule(data=st.data(), crash=st.sampled_from([None, None, *KILLED]))
        def add_person(self, data: st.DataObject, crash: str | None) -> None:
            path = data.draw(st.sampled_from(sorted(self.groups)))
            if crash is not None:
                world.kill(crash)
            person = world.done("POST", f"{path}/persons", {"name": "somebody"})["personId"]
            assert person not in self.groups[path].persons
            self.groups[path].persons[person] = {}

        @precondition(lambda self: any(group.persons for group in self.groups.values()))
        @rule(data=st.data(), whose=st.sampled_from(FACES), crash=st.sampled_from([None, None, None, *KILLED]))
        def add_face(self, data: st.DataObject, whose: str, crash: str | None) -> None:
            path, person = self._somebody(data)
            if crash is not None:
                world.kill(crash)
            place = f"{path}/persons/{person}/persistedfaces"
            added = world.done("POST", place, content=world.pictures[whose])
            self.groups[path].persons[person][added["persistedFaceId"]] = whose

        @precondition(lambda self: any(group.persons for group in self.groups.values()))
        @rule(data=st.data())
        def delete_person(self, data: st.DataObject) -> None:
            path, person = self._somebody(data)
            world.done("DELETE", f"{path}/persons/{person}")
            del self.groups[path].persons[person]
            assert world.ask("GET", f"{path}/persons/{person}").status_code == 404

        @precondition(lambda self: self.lists)
        @rule(data=st.data(), whose=st.sampled_from(FACES))
        def list_face(self, data: st.DataObject, whose: str) -> None:
            path = data.draw(st.sampled_from(sorted(self.lists)))
            added = world.done("POST", f"{path}/persistedfaces", content=world.pictures[whose])
            self.lists[path][added["persistedFaceId"]] = whose

        @precondition(lambda self: any(self.lists.values()))
        @rule(data=st.data())
        def unlist_face(self, data: st.DataObject) -> None:
            path = data.draw(st.sampled_from(sorted(path for path, faces in self.lists.items() if faces)))
            face = data.draw(st.sampled_from(sorted(self.lists[path])))
            world.done("DELETE", f"{path}/persistedfaces/{face}")
            del self.lists[path][face]

        @precondition(lambda self: self.groups)
        @rule(data=st.data())
        def train(self, data: st.DataObject) -> None:
            path = data.draw(st.sampled_from(sorted(self.groups)))
            group = self.groups[path]
            covered = {face for faces in group.persons.values() for face in faces}
            world.done("POST", f"{path}/train")
            while (status := world.done("GET", f"{path}/training")["status"]) != "succeeded":
                assert status == "running"
            group.trained = covered

        @precondition(lambda self: self.groups)
        @rule(data=st.data(), whose=st.sampled_from(FACES))
        def identify(self, data: st.DataObject, whose: str) -> None:
            path = data.draw(st.sampled_from(sorted(self.groups)))
            group, (_, kind, name) = self.groups[path], path.split("/")
            answer = world.ask("POST", "/identify", {"faceIds": [probe(world, whose)], GROUPS[kind]: name})
            if group.trained is None:
                assert answer.status_code == 400
                assert answer.json()["error"]["code"].endswith("NotTrained")
                return
            found = {each["personId"] for each in answer.json()[0]["candidates"]}
            # What a training covers is found, what was added since may be, what is gone never is.
            assert group.alike(whose, trained=True) <= found <= group.alike(whose, trained=False)

        @rule(process=st.sampled_from(KILLED))
        def crash(self, process: str) -> None:
            world.kill(process)

        @invariant()
        def persons_and_faces_are_those_of_the_model(self) -> None:
            for path, group in self.groups.items():
                told = {each["personId"]: each["persistedFaceIds"] for each in world.done("GET", f"{path}/persons")}
                assert {person: set(faces) for person, faces in told.items()} == {
                    person: set(faces) for person, faces in group.persons.items()
                }
            for path, faces in self.lists.items():
                place = path if path.startswith("/facelists") else f"{path}/persistedfaces"
                told = world.done("GET", place)
                listed = told["persistedFaces"] if isinstance(told, dict) else told
                assert {each["persistedFaceId"] for each in listed} == set(faces)

        def _somebody(self, data: st.DataObject) -> tuple[str, str]:
            everybody = sorted((path, person) for path, group in self.groups.items() for person in group.persons)
            return data.draw(st.sampled_from(everybody))

    return History


def probe(world: World, whose: str) -> str:
    """A faceId of another photo of the same person."""
    if whose not in world.probes:
        query = {"recognitionModel": MODEL}
        found = world.done("POST", "/detect", params=query, content=world.pictures[f"{whose} again"])
        world.probes[whose] = found[0]["faceId"]
    return world.probes[whose]


def test_any_history_is_that_of_the_model(tmp_path: Path) -> None:
    with running(tmp_path) as world:
        run_state_machine_as_test(
            history(world),
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=STEPS,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
        # A history without a death would show less than it says.
        assert sum(world.deployment.running.restarts().values()) > 0
