"""What every request gets: an id, an answer of the contract, a log line, a measure; and a retry its first answer."""

import logging
import uuid
from typing import Any

import httpx
import pytest
from aiokafka.errors import KafkaConnectionError  # type: ignore[import-untyped]
from prometheus_client import generate_latest

from pipeline.api import keys
from pipeline.api.callers import Callers
from pipeline.api.front import Front
from pipeline.api.rates import Rates
from pipeline.metrics import Metrics
from pipeline.operations import Unanswered
from tests.pipeline.api.house import BASE, KEY_HEADER, OCTETS, House

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.broker,
    pytest.mark.milvus,
    pytest.mark.timeout(120),
]

WORDS = "Eileen Collins"


async def test_every_answer_is_identified_and_the_callers_own_id_comes_back(door: House) -> None:
    for path, status in (("/face/v1.0/facelists", 200), ("/face/v1.0/nothing", 404), ("/openapi.json", 200)):
        answer = await door.http.get(path, headers={"x-ms-client-request-id": "the caller's"})
        assert answer.status_code == status
        assert uuid.UUID(answer.headers["x-ms-request-id"]).version == 4
        assert answer.headers["apim-request-id"] == answer.headers["x-ms-request-id"]
        assert answer.headers["x-ms-client-request-id"] == "the caller's"
    plain = await door.http.get("/face/v1.0/facelists")
    assert "x-ms-client-request-id" not in plain.headers


async def test_unknown_paths_and_methods_are_told_in_json(door: House) -> None:
    for path in ("/", "/none", "/persons/", "//persons", "/../x", "/detectLiveness"):
        assert await door.refused("GET", path) == (404, "404")
    assert await door.refused("GET", "/detect") == (405, "405")
    assert await door.refused("PATCH", "/facelists") == (405, "405")
    assert await door.refused("GET", "/detect", version="v9") == (404, "404")


@pytest.mark.parametrize("host", ["[", "[::1", "a b", "x" * 1_000, "h:port", "%", "\xff"])
async def test_whatever_a_caller_calls_us(door: House, host: str) -> None:
    for method, path in (("GET", "/facelists"), ("POST", "/persons"), ("GET", "/none")):
        headers = {"Host": host.encode("latin-1")}
        answer = await door.ask(method, path, json={"name": "n"}, headers=headers)
        assert answer.status_code in (200, 202, 404)


async def test_an_endpoint_may_end_with_a_slash(door: House) -> None:
    assert (await door.http.get(f"{BASE}//face/v1.0/facelists")).status_code == 200
    async with httpx.AsyncClient(transport=httpx.ASGITransport(door.app)) as stranger:
        assert (await stranger.get(f"{BASE}//face/v1.0/facelists")).status_code == 401


@pytest.mark.parametrize(
    "path",
    [
        "/detectLiveness/singleModal/sessions",
        f"/detectLivenessWithVerify/singleModal/sessions/{uuid.UUID(int=7)}",
        f"/detectLiveness/singleModal/sessions/{uuid.UUID(int=7)}/audit",
        "/session/sessionImages/x",
    ],
)
async def test_there_are_no_liveness_sessions(door: House, path: str) -> None:
    assert await door.refused("GET", path) == (404, "SessionNotFound")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"\xff", b'{"faceId1": "\xff"}', b"1" * 10_000, b"[" * 100_000]
)
async def test_a_broken_body_is_a_bad_argument(door: House, body: bytes) -> None:
    answer = await door.ask("POST", "/verify", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadArgument")


async def test_nobody_without_a_live_key(door: House) -> None:
    for path in ("/face/v1.0/facelists", "/face/v1.0/nothing", "/face/v9/x"):
        for headers in ({}, {KEY_HEADER: "x"}, {KEY_HEADER: door.key[:-1]}, {"Authorization": f"Bearer {door.key}"}):
            async with httpx.AsyncClient(transport=httpx.ASGITransport(door.app), base_url=BASE) as stranger:
                answer = await stranger.get(path, headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "401")


async def test_a_retry_gets_the_first_answer_even_with_the_other_key(door: House) -> None:
    await door.done("PUT", "/persongroups/retried", {"name": "n"})
    _, second = keys.read(door.home.api_keys)
    headers = {"x-ms-client-request-id": str(uuid.uuid4())}
    answers = [
        await door.ask("POST", "/persongroups/retried/persons", json={"name": "p"}, headers={**headers, **more})
        for more in ({}, {}, {KEY_HEADER: second})
    ]
    assert len({answer.json()["personId"] for answer in answers}) == 1
    assert len(await door.done("GET", "/persongroups/retried/persons")) == 1
    created = [await door.ask("PUT", "/facelists/once", json={"name": "n"}, headers=headers) for _ in range(2)]
    assert [each.status_code for each in created] == [200, 200]
    deleted = [await door.ask("DELETE", "/facelists/once", headers=headers) for _ in range(2)]
    assert [each.status_code for each in deleted] == [200, 200]
    assert await door.refused("DELETE", "/facelists/once") == (404, "FaceListNotFound")


async def test_without_an_id_every_request_is_a_new_one(door: House) -> None:
    await door.done("PUT", "/persongroups/anew", {"name": "n"})
    for _ in range(2):
        await door.done("POST", "/persongroups/anew/persons", {"name": "p"})
    assert len(await door.done("GET", "/persongroups/anew/persons")) == 2


async def test_a_face_that_is_sent_again_is_enrolled_once(door: House, pictures: dict[str, bytes]) -> None:
    await door.done("PUT", "/facelists/again", {"name": "n"})
    headers = {**OCTETS, "x-ms-client-request-id": str(uuid.uuid4())}
    place = "/facelists/again/persistedfaces"
    sent = [await door.ask("POST", place, content=pictures["grace"], headers=headers) for _ in range(2)]
    assert sent[0].json() == sent[1].json()
    assert len((await door.done("GET", "/facelists/again"))["persistedFaces"]) == 1


async def test_the_log_has_templates_and_the_measures_have_operations(
    door: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pipeline.api")
    answer = await door.ask("PUT", "/facelists/logged", json={"name": WORDS})
    person = uuid.uuid4()
    await door.ask("GET", f"/persongroups/secret-group/persons/{person}", params={"userData": WORDS})
    lines = [record.__dict__ for record in caplog.records if record.name == "pipeline.api.front"]
    put, get = lines
    assert (put["method"], put["route"], put["status"], put["principal"], put["request"]) == (
        "PUT",
        "/face/v1.2-preview.1/facelists/{faceListId}",
        200,
        "subscription",
        answer.headers["x-ms-request-id"],
    )
    assert get["route"] == "/face/v1.2-preview.1/persongroups/{personGroupId}/persons/{personId}"
    measured = generate_latest(door.metrics.registry).decode()
    assert 'faceline_requests_total{operation="create_facelist",status="200"}' in measured
    for told in (str(lines), measured):
        assert not [word for word in (WORDS, str(person), "secret-group", "logged'") if word in told]


async def test_a_body_longer_than_any_is_cut_off(door: House) -> None:
    for kind in ("application/json", "text/plain", "multipart/form-data"):
        headers = {"Content-Type": kind}
        answer = await door.ask("POST", "/verify", content=b"[" * (1 << 20) + b"[", headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadArgument")


async def test_a_key_that_asks_too_often_is_told_to_wait(door: House) -> None:
    hasty = Callers(door.callers.keys, Rates(rate=0.25, burst=2, timer=lambda: 0.0))
    front = Front(door.app, callers=hasty, metrics=Metrics("t"), new_id=lambda: "id")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(front), base_url=BASE) as http:
        asked = [await http.get("/face/v1.0/none", headers={KEY_HEADER: door.key}) for _ in range(3)]
    assert [each.status_code for each in asked] == [404, 404, 429]
    assert asked[-1].json() == {"error": {"code": "429", "message": "Rate limit is exceeded."}}
    assert asked[-1].headers["Retry-After"] == "4"


class Failing:
    """An application that fails as it is told."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        raise self.error


async def failed(door: House, error: Exception) -> httpx.Response:
    front = Front(Failing(error), callers=door.callers, metrics=Metrics("t"), new_id=lambda: str(uuid.UUID(int=1)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(front), base_url=BASE) as http:
        return await http.get("/face/v1.0/detect", headers={KEY_HEADER: door.key})


async def test_a_bug_is_told_by_its_number_alone(door: House, caplog: pytest.LogCaptureFixture) -> None:
    answer = await failed(door, ValueError(WORDS))
    assert answer.status_code == 500
    error = answer.json()["error"]
    assert error["code"] == answer.headers["x-ms-error-code"] == "InternalServerError"
    assert str(uuid.UUID(int=1)) in error["message"]
    assert WORDS not in answer.text
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert WORDS not in record.getMessage()


@pytest.mark.parametrize("error", [Unanswered(WORDS), KafkaConnectionError(WORDS), TimeoutError(WORDS)])
async def test_an_absent_service_is_worth_a_retry(door: House, error: Exception) -> None:
    answer = await failed(door, error)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json()["error"]["code"] == "ServiceUnavailable"
    assert WORDS not in answer.text


async def test_too_many_images_at_once_are_sent_away(door: House, pictures: dict[str, bytes]) -> None:
    measuring = door.service.measuring
    places = [measuring.place() for _ in range(16)]
    for place in places:
        place.__enter__()
    try:
        answer = await door.ask("POST", "/detect", content=pictures["grace"], headers=OCTETS)
        assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    finally:
        for place in places:
            place.__exit__(None, None, None)
    assert await door.detected(pictures["grace"])
