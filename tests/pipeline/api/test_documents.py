"""The OpenAPI document: it has what the contract has, and whatever it allows to be sent, nothing breaks."""

import asyncio
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from pipeline.api.application import application
from pipeline.api.listening import address, listener
from pipeline.api.serving import serve
from pipeline.api.versions import VERSIONS
from pipeline.metrics import Metrics
from tests.pipeline.api.house import KEY_HEADER, House

CHECKS = [not_a_server_error, status_code_conformance, response_schema_conformance]
EVERYWHERE = """
POST /detect
POST /verify
POST /identify
POST /findsimilars
POST /group
PUT GET PATCH DELETE /facelists/{faceListId}
GET /facelists
POST /facelists/{faceListId}/persistedfaces
DELETE /facelists/{faceListId}/persistedfaces/{persistedFaceId}
PUT GET PATCH DELETE /largefacelists/{largeFaceListId}
GET /largefacelists
POST GET /largefacelists/{largeFaceListId}/persistedfaces
GET PATCH DELETE /largefacelists/{largeFaceListId}/persistedfaces/{persistedFaceId}
POST /largefacelists/{largeFaceListId}/train
GET /largefacelists/{largeFaceListId}/training
PUT GET PATCH DELETE /persongroups/{personGroupId}
GET /persongroups
POST GET /persongroups/{personGroupId}/persons
GET PATCH DELETE /persongroups/{personGroupId}/persons/{personId}
POST /persongroups/{personGroupId}/persons/{personId}/persistedfaces
GET PATCH DELETE /persongroups/{personGroupId}/persons/{personId}/persistedfaces/{persistedFaceId}
POST /persongroups/{personGroupId}/train
GET /persongroups/{personGroupId}/training
PUT GET PATCH DELETE /largepersongroups/{largePersonGroupId}
GET /largepersongroups
POST GET /largepersongroups/{largePersonGroupId}/persons
GET PATCH DELETE /largepersongroups/{largePersonGroupId}/persons/{personId}
POST /largepersongroups/{largePersonGroupId}/persons/{personId}/persistedfaces
GET PATCH DELETE /largepersongroups/{largePersonGroupId}/persons/{personId}/persistedfaces/{persistedFaceId}
POST /largepersongroups/{largePersonGroupId}/train
GET /largepersongroups/{largePersonGroupId}/training
"""
PREVIEWS = """
POST GET /persons
GET PATCH DELETE /persons/{personId}
POST GET /persons/{personId}/recognitionModels/{recognitionModel}/persistedfaces
GET PATCH DELETE /persons/{personId}/recognitionModels/{recognitionModel}/persistedfaces/{persistedFaceId}
GET /persons/{personId}/dynamicPersonGroupReferences
PUT GET PATCH DELETE /dynamicpersongroups/{dynamicPersonGroupId}
GET /dynamicpersongroups
GET /dynamicpersongroups/{dynamicPersonGroupId}/persons
GET /operations/{operationId}
"""


def promised() -> set[tuple[str, str]]:
    """Methods and paths of the contract's tables, under every version that has them."""
    found = set()
    for version in VERSIONS.values():
        for line in filter(None, (EVERYWHERE + (PREVIEWS if version.directory else "")).splitlines()):
            *methods, path = line.split()
            found |= {(method, f"{version.prefix}{path}") for method in methods}
    return found


def test_nothing_of_a_request_is_handed_to_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    nothing: Any = None
    app = application(nothing, nothing, Metrics("api"), str)
    assert not any(app._telemetry[name] for name in ("tracing", "metrics", "logs", "operation_spans", "auto_configure"))
    assert not app._native_telemetry.enabled()


def test_the_document_has_what_the_contract_has() -> None:
    nothing: Any = None
    document = application(nothing, nothing, Metrics("api"), str).openapi()
    written = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert written == promised()
    operations = [each["operationId"] for methods in document["paths"].values() for each in methods.values()]
    assert len(operations) == len(set(operations))


@pytest.mark.broker
@pytest.mark.milvus
@pytest.mark.timeout(280)
@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisDeprecationWarning")  # schemathesis draws by itself
@pytest.mark.asyncio(loop_scope="module")
async def test_whatever_the_document_allows_nothing_breaks(door: House) -> None:
    """Requests made from the document, over a real socket: no answer is a 5xx, each is as documented."""
    stop = asyncio.Event()
    with listener(door.settings.api, door.home, 0) as bound:
        place = address(door.settings.api, bound)
        serving = asyncio.create_task(serve(door.app, door.settings.api, bound, stop))
        try:
            assert await asyncio.to_thread(explore, door, place) > 100
        finally:
            stop.set()
            await serving


def explore(door: House, place: str) -> int:
    """How many requests were made; raises where an answer is not as documented."""
    schema = schemathesis.openapi.from_dict(door.app.openapi()).include(path_regex="/face/v1.2-preview.1/")
    asked = 0
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()

        @hypothesis.settings(
            max_examples=5,
            database=None,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            nonlocal asked
            asked += 1
            case.call_and_validate(base_url=place, headers={KEY_HEADER: door.key}, checks=CHECKS)

        ask()
    return asked
