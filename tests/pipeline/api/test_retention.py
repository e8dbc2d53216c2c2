"""The retention table of the Face service, row by row (R1 to R11 and R19), with a clock that the test moves."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import TopicPartition  # type: ignore[import-untyped]

from connectors import kafka
from connectors.broker import EmbeddedBroker
from connectors.milvus import Milvus
from pipeline.operations.client import Client
from pipeline.topology import TOPICS
from tests.pipeline.api.house import House, house

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.broker,
    pytest.mark.milvus,
    pytest.mark.timeout(180),
]

MODEL = "recognition_04"
NAMED = {"name": "n", "recognitionModel": MODEL}
TEN_YEARS = 3_650 * 86_400.0
DAY = 86_400.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def aging(broker: EmbeddedBroker, milvus: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """A deployment whose clock every test of this module moves ahead: they share it, because starting it takes time."""
    async with house(broker.bootstrap, milvus, tmp_path_factory.mktemp("aging")) as running:
        yield running


@dataclass(frozen=True)
class Trace:
    """What a call could leave behind: records on any topic, keys, vectors, files."""

    ends: dict[str, int]
    keys: tuple[int, int]
    vectors: dict[str, int]
    files: frozenset[str]


async def trace(running: House) -> Trace:
    deployment = running.settings.deployment()
    partitions = [
        TopicPartition(deployment.name(topic), partition)
        for topic in TOPICS
        for partition in range(deployment.scale.partitions(topic))
    ]
    asking = kafka.consumer(running.access, committed=False)
    await asking.start()
    try:
        ends = await asking.end_offsets(partitions)
    finally:
        await asking.stop()
    with closing(Milvus(str(running.settings.milvus.uri))) as index:
        vectors = {name: index.count(name) for name in index.names()}
    files = frozenset(str(path) for path in running.home.path.rglob("*") if path.is_file())
    ends_by_name = {f"{partition.topic}/{partition.partition}": end for partition, end in ends.items()}
    return Trace(ends_by_name, running.keys.count(), vectors, files)


async def grown(running: House, path: str, photo: bytes, name: str = "Grace") -> tuple[str, str]:
    """A person with one face in a group: personId and persistedFaceId."""
    person = (await running.done("POST", f"{path}/persons", {"name": name}))["personId"]
    face = (await running.sent(f"{path}/persons/{person}/persistedfaces", photo))["persistedFaceId"]
    return person, face


async def named(running: House, face: str, **scope: Any) -> list[str]:
    (found,) = await running.done("POST", "/identify", {"faceIds": [face], **scope})
    return [each["personId"] for each in found["candidates"]]


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what another part of the deployment does in its own time: the index, the stage that ends faces."""
    async with asyncio.timeout(30):
        while not await holds():  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def kid_of(running: House, person: str) -> str:
    client: Client = running.service.client
    await client.catch_up()
    return client.tables.live.persons[person].kid


async def test_r1_a_face_without_an_id_leaves_nothing(aging: House, pictures: dict[str, bytes]) -> None:
    await aging.sent("/detect", pictures["grace"], returnFaceId="false")
    before = await trace(aging)
    for _ in range(3):
        (told,) = await aging.sent(
            "/detect", pictures["grace"], returnFaceId="false", returnFaceLandmarks="true", returnFaceAttributes="blur"
        )
        assert "faceId" not in told
    assert await trace(aging) == before


async def test_r2_a_face_ends_at_its_time_with_its_key(aging: House, pictures: dict[str, bytes]) -> None:
    face = await aging.detected(pictures["grace"], faceIdTimeToLive="60")
    other = await aging.detected(pictures["grace"])
    assert face != other
    held = aging.service.recogniser.faces.view.find(face, aging.clock())
    assert held is not None
    assert aging.keys.alive(held.template.kid)
    both = {"faceId1": face, "faceId2": other}
    assert (await aging.done("POST", "/verify", both))["isIdentical"]
    aging.clock.advance(60)
    assert await aging.refused("POST", "/verify", both) == (404, "FaceNotFound")
    aging.clock.advance(15)

    async def destroyed() -> bool:
        return not aging.keys.alive(held.template.kid)

    await until(destroyed)
    assert aging.service.recogniser.faces.view.find(other, aging.clock()) is not None
    aging.clock.advance(DAY)
    assert await aging.refused("POST", "/verify", {"faceId1": other, "faceId2": other}) == (404, "FaceNotFound")


async def test_r3_r4_r10_r11_recognition_keeps_nothing(aging: House, pictures: dict[str, bytes]) -> None:
    await aging.done("PUT", "/largepersongroups/r4", NAMED)
    person, _ = await grown(aging, "/largepersongroups/r4", pictures["grace"])
    await aging.trained("/largepersongroups/r4")
    await aging.done("PUT", "/largefacelists/r10", NAMED)
    await aging.sent("/largefacelists/r10/persistedfaces", pictures["grace"])
    await aging.trained("/largefacelists/r10")
    one, two = await aging.detected(pictures["grace"]), await aging.detected(pictures["eileen"])
    before = await trace(aging)
    calls = [
        ("/verify", {"faceId1": one, "faceId2": two}),
        ("/verify", {"faceId": one, "personId": person, "largePersonGroupId": "r4"}),
        ("/identify", {"faceIds": [one, two], "largePersonGroupId": "r4"}),
        ("/findsimilars", {"faceId": one, "faceIds": [one, two]}),
        ("/findsimilars", {"faceId": one, "largeFaceListId": "r10", "mode": "matchFace"}),
        ("/group", {"faceIds": [one, two]}),
    ]
    for path, body in calls:
        await aging.done("POST", path, body)
    assert await trace(aging) == before


@pytest.mark.parametrize("word", ["PersonGroup", "LargePersonGroup"])
async def test_r5_r6_persons_stay_until_they_are_deleted_and_then_at_once(
    aging: House, pictures: dict[str, bytes], word: str
) -> None:
    place, scope = f"/{word.lower()}s/r5", {f"{word[0].lower()}{word[1:]}Id": "r5"}
    await aging.done("PUT", place, NAMED)
    person, face = await grown(aging, place, pictures["grace"])
    other, _ = await grown(aging, place, pictures["eileen"], "Eileen")
    await aging.trained(place)
    aging.clock.advance(TEN_YEARS)
    probe = await aging.detected(pictures["grace again"])
    assert await named(aging, probe, **scope) == [person]
    kid = await kid_of(aging, person)
    await aging.done("DELETE", f"{place}/persons/{person}")
    # No training in between: a deletion needs none.
    assert await named(aging, probe, **scope) == []
    assert not aging.keys.alive(kid)
    assert await aging.refused("GET", f"{place}/persons/{person}") == (404, "PersonNotFound")
    assert await aging.refused("GET", f"{place}/persons/{person}/persistedfaces/{face}") == (404, "PersonNotFound")
    verify = {"faceId": probe, "personId": person, **scope}
    assert await aging.refused("POST", "/verify", verify) == (404, "PersonNotFound")
    assert (await aging.done("GET", f"{place}/persons/{other}"))["name"] == "Eileen"
    kid = await kid_of(aging, other)
    await aging.done("DELETE", place)
    assert not aging.keys.alive(kid)
    assert await aging.refused("GET", f"{place}/persons/{other}") == (404, f"{word}NotFound")
    await aging.done("PUT", place, NAMED)
    assert await aging.done("GET", f"{place}/persons") == []
    await aging.done("DELETE", place)


async def test_r5_one_face_of_a_person_ends_alone(aging: House, pictures: dict[str, bytes]) -> None:
    place = "/persongroups/r5-face"
    await aging.done("PUT", place, NAMED)
    person, first = await grown(aging, place, pictures["grace"])
    second = (await aging.sent(f"{place}/persons/{person}/persistedfaces", pictures["eileen"]))["persistedFaceId"]
    await aging.trained(place)
    probe = await aging.detected(pictures["eileen again"])
    assert await named(aging, probe, personGroupId="r5-face") == [person]
    await aging.done("DELETE", f"{place}/persons/{person}/persistedfaces/{second}")
    assert await named(aging, probe, personGroupId="r5-face") == []
    gone = await aging.refused("GET", f"{place}/persons/{person}/persistedfaces/{second}")
    assert gone == (404, "PersistedFaceNotFound")
    assert (await aging.done("GET", f"{place}/persons/{person}"))["persistedFaceIds"] == [first]


async def test_r7_r8_the_directory_forgets_persons_and_groups_only_references(
    aging: House, pictures: dict[str, bytes]
) -> None:
    ids = {}
    for name in ("grace", "eileen"):
        ids[name] = (await aging.done("POST", "/persons", {"name": name}))["personId"]
        await aging.sent(f"/persons/{ids[name]}/recognitionModels/{MODEL}/persistedfaces", pictures[name])
    await aging.done("PUT", "/dynamicpersongroups/r8", {"name": "n", "addPersonIds": list(ids.values())})
    aging.clock.advance(TEN_YEARS)
    probe = await aging.detected(pictures["grace again"])
    everywhere: list[dict[str, Any]] = [{"personIds": ["*"]}, {"dynamicPersonGroupId": "r8"}]

    async def found() -> bool:
        return ids["grace"] in await named(aging, probe, **everywhere[0])

    await until(found)
    assert [await named(aging, probe, **scope) for scope in everywhere] == [[ids["grace"]]] * 2
    await aging.done("DELETE", f"/persons/{ids['grace']}")
    assert [await named(aging, probe, **scope) for scope in everywhere] == [[]] * 2
    assert (await aging.done("GET", "/dynamicpersongroups/r8/persons"))["personIds"] == [ids["eileen"]]
    assert await aging.refused("GET", f"/persons/{ids['grace']}") == (404, "PersonNotFound")
    await aging.done("DELETE", "/dynamicpersongroups/r8")
    assert (await aging.done("GET", f"/persons/{ids['eileen']}"))["name"] == "eileen"
    references = await aging.done("GET", f"/persons/{ids['eileen']}/dynamicPersonGroupReferences")
    assert references["dynamicPersonGroupIds"] == []


@pytest.mark.parametrize("kind", ["facelists", "largefacelists"])
async def test_r9_listed_faces_stay_until_they_are_deleted(aging: House, pictures: dict[str, bytes], kind: str) -> None:
    place, scope = f"/{kind}/r9", {"faceListId" if kind == "facelists" else "largeFaceListId": "r9"}
    await aging.done("PUT", place, NAMED)
    first = (await aging.sent(f"{place}/persistedfaces", pictures["grace"]))["persistedFaceId"]
    second = (await aging.sent(f"{place}/persistedfaces", pictures["eileen"]))["persistedFaceId"]
    if kind == "largefacelists":
        await aging.trained(place)
    aging.clock.advance(TEN_YEARS)
    probe = await aging.detected(pictures["grace again"])

    async def similar() -> list[str]:
        found = await aging.done("POST", "/findsimilars", {"faceId": probe, "mode": "matchFace", **scope})
        return [each["persistedFaceId"] for each in found]

    async def indexed() -> bool:
        return len(await similar()) == 2

    await until(indexed)
    assert await similar() == [first, second]
    client = aging.service.client
    live = client.tables.live
    (kid,) = {each.vector.kid for key, each in live.templates.items() if key.endswith(first)}
    await aging.done("DELETE", f"{place}/persistedfaces/{first}")
    assert await similar() == [second]
    assert not aging.keys.alive(kid)
    await aging.done("DELETE", place)
    word = "FaceList" if kind == "facelists" else "LargeFaceList"
    gone = await aging.refused("POST", "/findsimilars", {"faceId": probe, **scope})
    assert gone == (400, f"{word}NotFound")


async def test_r19_an_operation_is_known_for_48_hours(aging: House) -> None:
    made = await aging.ask("POST", "/persons", json={"name": "Ada"})
    where = made.headers["Operation-Location"]
    assert (await aging.http.get(where)).json()["status"] == "succeeded"
    aging.clock.advance(2 * DAY - 60)
    assert (await aging.http.get(where)).status_code == 200
    aging.clock.advance(120)
    assert (await aging.http.get(where)).status_code == 404
