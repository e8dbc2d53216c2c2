"""Both official SDKs, unmodified, every call that they have but for liveness, against a deployment that runs for real.

What no SDK knows in any version, the PersonDirectory and its groups, is asked for in plain HTTP.
"""

import asyncio
import io
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from aiohttp import web
from azure.ai.vision.face import FaceAdministrationClient, FaceClient, aio
from azure.cognitiveservices.vision.face import FaceClient as OldFaceClient
from azure.cognitiveservices.vision.face.models import APIErrorException
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from msrest.authentication import CognitiveServicesCredentials

from connectors.loopback import free_port
from pipeline.api import keys
from pipeline.home import Home
from pipeline.machine.programs import faceline
from pipeline.machine.supervisor import Supervisor
from pipeline.settings import FILE, load
from tests.pipeline.api.house import KEY_HEADER, OCTETS, photos

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.broker,
    pytest.mark.milvus,
    pytest.mark.timeout(300),
]

SHARED_MODELS = Path(__file__).parents[3] / "shared" / "models"
NOBODY = str(uuid.UUID(int=7))
MODELS: dict[str, Any] = {"detection_model": "detection_03", "recognition_model": "recognition_04"}


@dataclass(frozen=True)
class Place:
    """Where the API is, a live key, and where photos stand on the web."""

    endpoint: str
    key: str
    shelf: str
    home: Home
    running: Supervisor
    photos: dict[str, bytes]

    @property
    def credential(self) -> AzureKeyCredential:
        return AzureKeyCredential(self.key)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    """`faceline up`, with the recommended pack where its weights are."""
    home = Home(tmp_path_factory.mktemp("sdks"))
    home.prepare()
    pack = f'pack = "retail"\nsource = "{SHARED_MODELS}"' if SHARED_MODELS.is_dir() else 'pack = "dlib"'
    (home.path / FILE).write_text(f'[models]\n{pack}\n[api]\nport = 0\nallow_hosts = ["127.0.0.1"]\n')
    pictures = photos()
    async with AsyncExitStack() as stack:
        shelf = await stack.enter_async_context(_shelf(pictures["grace"]))
        running = await stack.enter_async_context(Supervisor(home, load(home.path)))
        endpoint = await _announced(home)
        yield Place(endpoint, keys.read(home.api_keys)[0], shelf, home, running, pictures)


async def _announced(home: Home) -> str:
    async with asyncio.timeout(60):
        while True:
            running = home.running()
            if running is not None and (address := running.processes["api"].address):
                return address
            await asyncio.sleep(0.1)


class _shelf:
    """A web server with one photo on it."""

    def __init__(self, photo: bytes) -> None:
        self._photo = photo

    async def __aenter__(self) -> str:
        async def photo(_: web.Request) -> web.Response:
            return web.Response(body=self._photo)

        application = web.Application()
        application.add_routes([web.get("/photo.jpg", photo)])
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/photo.jpg"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


class Watched:
    """A client of an SDK that notes which of its calls were made; those that block are made in a thread."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.called: set[str] = set()

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._client, name)
        self.called.add(name)

        async def call(*args: Any, **given: Any) -> Any:
            if asyncio.iscoroutinefunction(method):
                return await method(*args, **given)
            answer = await asyncio.to_thread(method, *args, **given)
            return await answer if asyncio.iscoroutine(answer) else answer

        return call

    def uncalled(self, *aside: str) -> set[str]:
        """The calls that nobody made."""
        names = {
            name for name in dir(self._client) if not name.startswith("_") and callable(getattr(self._client, name))
        }
        return names - self.called - set(aside)


@dataclass
class Sdk:
    """The three doors of azure-ai-vision-face, blocking or not."""

    faces: Watched
    lists: Watched
    groups: Watched


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["blocking", "async"])
async def sdk(request: pytest.FixtureRequest, place: Place) -> AsyncIterator[Sdk]:
    faces: Any
    admin: Any
    async with AsyncExitStack() as stack:
        if request.param == "async":
            # With a slash at its end, as people copy it.
            faces = await stack.enter_async_context(aio.FaceClient(f"{place.endpoint}/", place.credential))
            admin = await stack.enter_async_context(aio.FaceAdministrationClient(place.endpoint, place.credential))
        else:
            faces = stack.enter_context(FaceClient(place.endpoint, place.credential))
            admin = stack.enter_context(FaceAdministrationClient(place.endpoint, place.credential))
        yield Sdk(Watched(faces), Watched(admin.large_face_list), Watched(admin.large_person_group))


async def finished(poller: Any) -> None:
    """Wait for a long-running operation of either kind."""
    if asyncio.iscoroutinefunction(poller.result):
        await poller.result()
    else:
        await asyncio.to_thread(poller.result)
    assert poller.status() == "succeeded"


async def detected(sdk: Sdk, photo: bytes) -> str:
    (face, *_) = await sdk.faces.detect(photo, return_face_id=True, **MODELS)
    return str(face.face_id)


async def test_large_face_lists_by_the_sdk(sdk: Sdk, place: Place) -> None:
    lists, photo = sdk.lists, place.photos["grace"]
    await lists.create("lfl", name="n", user_data="u", recognition_model="recognition_04")
    assert (await lists.get("lfl", return_recognition_model=True)).recognition_model == "recognition_04"
    await lists.update("lfl", name="m")
    (shown,) = await lists.get_large_face_lists(start="a", top=10, return_recognition_model=True)
    assert (shown.large_face_list_id, shown.name, shown.user_data) == ("lfl", "m", "u")
    box = (await sdk.faces.detect(photo, return_face_id=False, **MODELS))[0].face_rectangle
    target = [box.left, box.top, box.width, box.height]
    added = await lists.add_face(
        "lfl", photo, target_face=target, detection_model="detection_03", user_data="meta data"
    )
    face = added.persisted_face_id
    other = (await lists.add_face_from_url("lfl", url=place.shelf)).persisted_face_id
    assert (await lists.get_face("lfl", face)).user_data == "meta data"
    await lists.update_face("lfl", face, user_data="x")
    assert [each.persisted_face_id for each in await lists.get_faces("lfl")] == sorted([face, other])
    assert [each.user_data for each in await lists.get_faces("lfl", top=5) if each.persisted_face_id == face] == ["x"]
    await lists.delete_face("lfl", other)
    await finished(await lists.begin_train("lfl"))
    assert (await lists.get_training_status("lfl")).status == "succeeded"
    probe = await detected(sdk, place.photos["grace again"])
    (found,) = await sdk.faces.find_similar_from_large_face_list(face_id=probe, large_face_list_id="lfl")
    assert found.persisted_face_id == face
    await lists.delete("lfl")
    assert lists.uncalled() == set()


async def test_large_person_groups_by_the_sdk(sdk: Sdk, place: Place) -> None:
    groups = sdk.groups
    await groups.create("lpg", name="n", user_data="u", recognition_model="recognition_04")
    assert (await groups.get("lpg", return_recognition_model=True)).recognition_model == "recognition_04"
    await groups.update("lpg", user_data="z")
    (shown,) = await groups.get_large_person_groups(start="a", top=10)
    assert (shown.large_person_group_id, shown.user_data) == ("lpg", "z")
    people = {}
    for name in ("eileen", "grace"):
        people[name] = (await groups.create_person("lpg", name=name, user_data="pd")).person_id
        await groups.add_face("lpg", people[name], place.photos[name], detection_model="detection_03", user_data="fd")
    person = people["grace"]
    extra = (await groups.add_face_from_url("lpg", person, url=place.shelf)).persisted_face_id
    await groups.update_person("lpg", person, name="Grace Hopper")
    told = await groups.get_person("lpg", person)
    assert (told.name, told.user_data, len(told.persisted_face_ids)) == ("Grace Hopper", "pd", 2)
    assert [each.person_id for each in await groups.get_persons("lpg", top=3)] == sorted(people.values())
    await groups.update_face("lpg", person, extra, user_data="x")
    assert (await groups.get_face("lpg", person, extra)).user_data == "x"
    await groups.delete_face("lpg", person, extra)
    await finished(await groups.begin_train("lpg", polling_interval=1))
    assert (await groups.get_training_status("lpg")).status == "succeeded"

    probe = await detected(sdk, place.photos["grace again"])
    scope = {"large_person_group_id": "lpg"}
    (found,) = await sdk.faces.identify_from_large_person_group(face_ids=[probe], **scope, confidence_threshold=0.4)
    assert [each.person_id for each in found.candidates] == [person]
    verdict = await sdk.faces.verify_from_large_person_group(face_id=probe, person_id=person, **scope)
    assert verdict.is_identical
    await groups.delete_person("lpg", person)
    (found,) = await sdk.faces.identify_from_large_person_group(face_ids=[probe], **scope)
    assert found.candidates == []
    await groups.delete("lpg")
    assert groups.uncalled() == set()


async def test_recognition_by_the_sdk(sdk: Sdk, place: Place) -> None:
    faces = sdk.faces
    wanted = {"return_face_id": True, "return_face_landmarks": True, "return_recognition_model": True}
    attributes = ["blur", "qualityForRecognition"]
    told, _ = await faces.detect(
        place.photos["both"], **MODELS, **wanted, return_face_attributes=attributes, face_id_time_to_live=120
    )
    assert told.recognition_model == "recognition_04"
    assert told.face_landmarks.pupil_left.x < told.face_landmarks.pupil_right.x
    assert told.face_attributes.quality_for_recognition in ("low", "medium", "high")
    (same,) = await faces.detect_from_url(url=place.shelf, return_face_id=True, **MODELS)
    again, other = [await detected(sdk, place.photos[name]) for name in ("grace again", "eileen")]
    assert (await faces.verify_face_to_face(face_id1=same.face_id, face_id2=again)).is_identical
    assert not (await faces.verify_face_to_face(face_id1=same.face_id, face_id2=other)).is_identical
    (found,) = await faces.find_similar(face_id=again, face_ids=[same.face_id, other])
    assert found.face_id == same.face_id
    grouped = await faces.group(face_ids=[again, same.face_id, other])
    assert (grouped.messy_group, {*grouped.groups[0]}) == ([other], {again, same.face_id})
    # The other three are asked about a list or a group, above.
    elsewhere = {
        "identify_from_large_person_group",
        "verify_from_large_person_group",
        "find_similar_from_large_face_list",
    }
    assert faces.uncalled("close", "send_request", *elsewhere) == set()


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_errors_reach_the_sdk_as_its_own(sdk: Sdk, place: Place) -> None:
    with pytest.raises(ResourceNotFoundError) as missing:
        await sdk.faces.verify_face_to_face(face_id1=NOBODY, face_id2=NOBODY)
    assert missing.value.error is not None
    assert missing.value.error.code == "FaceNotFound"
    with pytest.raises(HttpResponseError) as bad:
        await sdk.faces.detect(place.photos["grace"], return_face_id=True, face_id_time_to_live=5, **MODELS)
    assert (bad.value.status_code, bad.value.error and bad.value.error.code) == (400, "BadArgument")
    for content, code in ((bytes(2_000), "InvalidImage"), (bytes(12 << 20), "InvalidImageSize")):
        with pytest.raises(HttpResponseError) as unreadable:
            await sdk.faces.detect(content, return_face_id=True, **MODELS)
        assert unreadable.value.error is not None
        assert unreadable.value.error.code == code
    await sdk.groups.create("twice", name="n")
    with pytest.raises(ResourceExistsError) as twice:
        await sdk.groups.create("twice", name="n")
    assert twice.value.error is not None
    assert twice.value.error.code == "LargePersonGroupExists"
    await sdk.groups.delete("twice")
    with pytest.raises(ResourceNotFoundError):
        await sdk.groups.get_training_status("twice")
    with (
        FaceClient(place.endpoint, AzureKeyCredential("x" * 32)) as stranger,
        pytest.raises(ClientAuthenticationError),
    ):
        await asyncio.to_thread(stranger.detect, place.photos["grace"], return_face_id=False, **MODELS)


@pytest.fixture
def old(place: Place) -> OldFaceClient:
    """The deprecated SDK, which speaks v1.0."""
    return OldFaceClient(place.endpoint, CognitiveServicesCredentials(place.key))  # type: ignore[no-untyped-call]


async def until_trained(status: Callable[..., Awaitable[Any]], own_id: str) -> None:
    async with asyncio.timeout(60):
        while (await status(own_id)).status != "succeeded":  # noqa: ASYNC110 - another process sets no event
            await asyncio.sleep(0.2)


@pytest.mark.parametrize("kind", ["person_group", "large_person_group"])
async def test_groups_by_the_old_sdk(old: OldFaceClient, place: Place, kind: str) -> None:
    groups, people, faces = Watched(getattr(old, kind)), Watched(getattr(old, f"{kind}_person")), Watched(old.face)
    scope = {f"{kind}_id": "old"}
    await groups.create("old", "n", user_data="u", recognition_model="recognition_04")
    assert (await groups.get("old", return_recognition_model=True)).recognition_model == "recognition_04"
    await groups.update("old", name="m")
    assert [each.name for each in await groups.list(start="a", top=5) if getattr(each, f"{kind}_id") == "old"] == ["m"]
    person = (await people.create("old", name="p", user_data="d")).person_id
    stream = io.BytesIO(place.photos["grace"])
    first = (await people.add_face_from_stream("old", person, stream, user_data="one")).persisted_face_id
    second = (
        await people.add_face_from_url("old", person, place.shelf, detection_model="detection_03")
    ).persisted_face_id
    assert (await people.get_face("old", person, first)).user_data == "one"
    await people.update_face("old", person, first, user_data="k")
    await people.delete_face("old", person, second)
    await people.update("old", person, name="z")
    told = await people.get("old", person)
    assert (told.name, told.persisted_face_ids) == ("z", [first])
    assert [each.person_id for each in await people.list("old", top=2)] == [person]
    await groups.train("old")
    await until_trained(groups.get_training_status, "old")

    probe = await old_detected(faces, place.photos["grace again"])
    (found,) = await faces.identify([probe], **scope, confidence_threshold=0.5)
    assert [each.person_id for each in found.candidates] == [person]
    assert (await faces.verify_face_to_person(probe, person, **scope)).is_identical
    await people.delete("old", person)
    await groups.delete("old")
    assert groups.uncalled() == people.uncalled() == set()
    with pytest.raises(APIErrorException) as gone:
        await groups.get("old")
    assert code_of(gone.value).endswith("PersonGroupNotFound")


def code_of(error: APIErrorException) -> str:
    """The code of what the old SDK raises."""
    assert error.error is not None
    return str(error.error.error.code)


async def old_detected(faces: Watched, photo: bytes) -> str:
    found = await faces.detect_with_stream(io.BytesIO(photo), recognition_model="recognition_04")
    return str(found[0].face_id)


async def test_face_lists_by_the_old_sdk(old: OldFaceClient, place: Place) -> None:
    lists, faces = Watched(old.face_list), Watched(old.face)
    await lists.create("fl", "n", user_data="u", recognition_model="recognition_04")
    await lists.update("fl", name="x")
    face = (await lists.add_face_from_url("fl", place.shelf, user_data="d")).persisted_face_id
    other = (await lists.add_face_from_stream("fl", io.BytesIO(place.photos["eileen"]))).persisted_face_id
    told = await lists.get("fl", return_recognition_model=True)
    assert {each.persisted_face_id: each.user_data for each in told.persisted_faces} == {face: "d", other: None}
    assert [each.face_list_id for each in await lists.list(return_recognition_model=True)] == ["fl"]
    probe = await old_detected(faces, place.photos["grace again"])
    (found,) = await faces.find_similar(probe, face_list_id="fl")
    assert found.persisted_face_id == face
    ranked = await faces.find_similar(probe, face_list_id="fl", mode="matchFace")
    assert [each.persisted_face_id for each in ranked] == [face, other]
    await lists.delete_face("fl", other)
    await lists.delete("fl")
    assert lists.uncalled() == set()


async def test_large_face_lists_by_the_old_sdk(old: OldFaceClient, place: Place) -> None:
    lists, faces = Watched(old.large_face_list), Watched(old.face)
    await lists.create("olfl", "n", recognition_model="recognition_04")
    await lists.update("olfl", user_data="v")
    assert (await lists.get("olfl")).user_data == "v"
    assert [each.large_face_list_id for each in await lists.list(start="o", top=3)] == ["olfl"]
    face = (await lists.add_face_from_stream("olfl", io.BytesIO(place.photos["grace"]))).persisted_face_id
    other = (await lists.add_face_from_url("olfl", place.shelf)).persisted_face_id
    await lists.update_face("olfl", face, user_data="w")
    assert (await lists.get_face("olfl", face)).user_data == "w"
    assert [each.persisted_face_id for each in await lists.list_faces("olfl")] == sorted([face, other])
    await lists.delete_face("olfl", other)
    await lists.train("olfl")
    await until_trained(lists.get_training_status, "olfl")
    probe = await old_detected(faces, place.photos["grace again"])
    (found,) = await faces.find_similar(probe, large_face_list_id="olfl")
    assert found.persisted_face_id == face
    await lists.delete("olfl")
    assert lists.uncalled() == set()


async def test_recognition_by_the_old_sdk(old: OldFaceClient, place: Place) -> None:
    faces = Watched(old.face)
    attributes = ["blur", "exposure"]
    (told,) = await faces.detect_with_url(
        place.shelf,
        return_face_landmarks=True,
        return_face_attributes=attributes,
        return_recognition_model=True,
        recognition_model="recognition_04",
        face_id_time_to_live=60,
    )
    assert told.recognition_model == "recognition_04"
    assert told.face_attributes.blur.blur_level.lower() in ("low", "medium", "high")
    again, other = [await old_detected(faces, place.photos[name]) for name in ("grace again", "eileen")]
    assert (await faces.verify_face_to_face(told.face_id, again)).is_identical
    (found,) = await faces.find_similar(again, face_ids=[told.face_id, other])
    assert found.face_id == told.face_id
    grouped = await faces.group([again, told.face_id, other])
    assert grouped.messy_group == [other]
    # The other two are asked about a group's person, above.
    assert faces.uncalled() == {"identify", "verify_face_to_person"}
    with pytest.raises(APIErrorException) as missing:
        await faces.verify_face_to_face(NOBODY, NOBODY)
    assert code_of(missing.value) == "FaceNotFound"


async def test_the_directory_over_plain_http(place: Place) -> None:
    base, headers = f"{place.endpoint}/face/v1.1-preview.1", {KEY_HEADER: place.key}
    async with httpx.AsyncClient(headers=headers, timeout=60) as http:
        made = await http.post(f"{base}/persons", json={"name": "Grace Hopper"})
        assert made.status_code == 202
        assert (await http.get(made.headers["Operation-Location"])).json()["status"] == "succeeded"
        person = made.json()["personId"]
        assert made.headers["Location"] == f"{base}/persons/{person}"
        faces = f"{made.headers['Location']}/recognitionModels/recognition_04/persistedfaces"
        added = await http.post(faces, content=place.photos["grace"], headers=OCTETS)
        assert added.status_code == 202
        assert (await http.get(added.headers["Location"])).json()["persistedFaceId"] == added.json()["persistedFaceId"]
        group = f"{base}/dynamicpersongroups/dpg"
        assert (await http.put(group, json={"name": "n", "addPersonIds": [person]})).status_code == 202
        query = {"recognitionModel": "recognition_04"}
        probe = await http.post(f"{base}/detect", params=query, content=place.photos["grace again"], headers=OCTETS)
        (found,) = json.loads(probe.content)
        for scope in ({"personIds": [person]}, {"personIds": ["*"]}, {"dynamicPersonGroupId": "dpg"}):
            answer = await http.post(f"{base}/identify", json={"faceIds": [found["faceId"]], **scope})
            assert [each["personId"] for each in answer.json()[0]["candidates"]] == [person], scope
        verdict = await http.post(f"{base}/verify", json={"faceId": found["faceId"], "personId": person})
        assert verdict.json()["isIdentical"]
        assert (await http.delete(group)).status_code == 202
        assert (await http.get(made.headers["Location"])).status_code == 200
        assert (await http.delete(made.headers["Location"])).status_code == 202
        assert (await http.get(made.headers["Location"])).status_code == 404


async def test_one_more_server_of_the_same_deployment(place: Place) -> None:
    port = free_port()
    command = faceline(place.home, "api", "--port", str(port))
    second = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    try:
        base = f"http://127.0.0.1:{port}/face/v1.0"
        async with httpx.AsyncClient(headers={KEY_HEADER: place.key}, timeout=60) as http:
            await until_listening(port)
            assert (await http.put(f"{base}/facelists/second", json={"name": "n"})).status_code == 200
            told = await http.get(f"{place.endpoint}/face/v1.0/facelists/second")
            assert told.json()["faceListId"] == "second"
            assert (await http.delete(f"{base}/facelists/second")).status_code == 200
    finally:
        second.terminate()
        _, said = await second.communicate()
    assert (second.returncode, said) == (0, b"")


async def until_listening(port: int) -> None:
    async with asyncio.timeout(60):
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("killed", ["control", "kafka"])
async def test_a_person_is_made_once_though_a_part_was_killed(place: Place, killed: str) -> None:
    with FaceAdministrationClient(place.endpoint, place.credential) as admin:
        groups, own_id = Watched(admin.large_person_group), f"survivor-{killed}"
        await groups.create(own_id, name="n")
        place.running.kill(killed)
        person = (await groups.create_person(own_id, name="p")).person_id
        assert [each.person_id for each in await groups.get_persons(own_id)] == [person]
        await groups.delete(own_id)
    assert place.running.restarts()["api"] == 0
